// Every kind of page held against axe-core, dark and light, wide and narrow: `DASH_SITE=<folder> node --test access.test.js`.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { after, before, test } from "node:test";
import { drawn, launch, open, phone } from "./browser.js";
import { host } from "./host.js";

const folder = process.env.DASH_SITE;
const options = { skip: folder ? false : "`DASH_SITE` names no folder", timeout: 120000 };
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

// What is serious or worse, as `rule: element: why`.
async function findings(page) {
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const bad = violations.filter((violation) => ["serious", "critical"].includes(violation.impact));
  return bad.flatMap((violation) =>
    violation.nodes.map((node) => `${violation.id}: ${node.target}: ${node.failureSummary.split("\n")[1]}`),
  );
}

async function check(t, name) {
  const { url } = await host(t, folder);
  const page = await open(browser, url + name, { ...phone, reducedMotion: "reduce" });
  t.after(() => page.context().close());
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
  const charts = await page.locator(".chart-frame:not([hidden]) .figure-place").all();
  for (const chart of charts) await drawn(page, await chart.getAttribute("id"));
  // By the debugger's way: the page's policy lets no script in.
  await page.evaluate(axe);
  for (const [colorScheme, ...sizes] of [["light", [390, 844], [820, 1180], [1440, 900]], ["dark", [390, 844], [1440, 900]]]) {
    await page.emulateMedia({ colorScheme });
    for (const [width, height] of sizes) {
      await page.setViewportSize({ width, height });
      assert.deepEqual(await findings(page), [], `${name}, ${colorScheme}, ${width} px`);
    }
  }
}

for (const name of ["index.html", "activity.html", "data-quality.html", "../404.html"]) {
  test(`${name} is accessible`, options, (t) => check(t, name));
}

test("a wrapper's page is accessible, its errors opened", options, async (t) => {
  const [name] = readdirSync(path.join(folder, "wrappers"));
  await check(t, `wrappers/${name}`);
});
