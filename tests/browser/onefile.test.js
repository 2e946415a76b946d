// Pages that need no other file: `DASH_ONE_FILE=<folder of such pages> node --test onefile.test.js`.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { desktop, launch, open, phone } from "./browser.js";

const folder = process.env.DASH_ONE_FILE;
const options = { skip: folder ? false : "`DASH_ONE_FILE` names no folder" };
const pages = folder ? readdirSync(folder) : [];
const at = (name) => pathToFileURL(path.join(folder, name)).href;

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

// How light a colour is, from 0 to 1, as computed styles tell it.
function lightness(page, selector, property) {
  return page.evaluate(
    ([selector, property]) => {
      const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      canvas.fillStyle = getComputedStyle(document.querySelector(selector))[property];
      canvas.fillRect(0, 0, 1, 1);
      const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
      return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
    },
    [selector, property],
  );
}

test("there is a page of each kind", options, () => {
  assert.deepEqual(pages.sort(), ["diff.html", "report.html", "service.html"]);
});

test("they fit into windows and phones, in the light and in the dark", options, async () => {
  for (const name of pages) {
    for (const device of [desktop, phone]) {
      for (const colorScheme of ["light", "dark"]) {
        const page = await open(browser, at(name), { ...device, colorScheme });
        const which = `${name}, ${device.viewport.width} px, ${colorScheme}`;
        await page.waitForLoadState("load");
        // Phones make the window of a page that is too wide wider: what counts is the device's width.
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= device.viewport.width, `${which}: ${width} px wide`);
        const [ground, ink] = [await lightness(page, "body", "backgroundColor"), await lightness(page, "h1", "color")];
        assert.ok(colorScheme === "dark" ? ground < 0.2 && ink > 0.7 : ground > 0.8 && ink < 0.3, `${which}: ${ink} on ${ground}`);
        assert.deepEqual(page.complaints, [], which);
        await page.context().close();
      }
    }
  }
});

test("on paper they are dark on white, and nothing is cut off", options, async () => {
  for (const name of pages) {
    // A4 in portrait, without its margins.
    const page = await open(browser, at(name), { viewport: { width: 698, height: 1000 }, colorScheme: "dark" });
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 698, `${name}: ${width} px wide on paper`);
    const [ground, ink] = [await lightness(page, "html", "backgroundColor"), await lightness(page, "h1", "color")];
    assert.ok(ground > 0.95 && ink < 0.3, `${name}: ${ink} on ${ground}`);
    const shown = await page.locator("nav:visible, input:visible, .theme-button:visible, .ranges:visible").count();
    assert.equal(shown, 0, `${name} prints what only a screen is for`);
    const pdf = await page.pdf({ format: "A4" });
    assert.equal(pdf.subarray(0, 5).toString(), "%PDF-");
    await page.context().close();
  }
});
