// The first visit of a page: what it waits for, and that nothing moves: `DASH_SITE=<folder> node --test paint.test.js`.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { desktop, drawn, launch, often, open, phone, tablet } from "./browser.js";
import { host } from "./host.js";

const folder = process.env.DASH_SITE;
const options = { skip: folder ? false : "`DASH_SITE` names no folder", timeout: 60000 };

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

// What the page notes of itself.
function note() {
  window.noted = { shift: 0 };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.noted.shift += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
}

const painted = () => performance.getEntriesByName("first-contentful-paint").length > 0;

test("a typeface that comes late holds nothing up, and moves nothing", options, async (t) => {
  const { url } = await host(t, folder);
  for (const size of [desktop, tablet, phone]) {
    const page = await open(browser, url, size, async (page) => {
      await page.addInitScript(note);
      await page.route("**/*.woff2", async (route) => {
        await page.waitForFunction(painted, null, often);
        await route.continue();
      });
    });
    t.after(() => page.context().close());
    // Until Plotly has taken over: by then everything that could move has come.
    await drawn(page, "chart-system");
    assert.equal(await page.evaluate(() => window.noted.shift), 0, `${size.viewport.width} px`);
    assert.deepEqual(page.complaints, []);
  }
});

test("a typeface that is at hand is used, with scripts and without", options, async (t) => {
  const { url } = await host(t, folder);
  for (const javaScriptEnabled of [true, false]) {
    const page = await open(browser, url, { ...desktop, javaScriptEnabled });
    t.after(() => page.context().close());
    // The second visit has it from the browser's own store.
    await page.reload();
    const session = await page.context().newCDPSession(page);
    await session.send("DOM.enable");
    await session.send("CSS.enable");
    const { root } = await session.send("DOM.getDocument");
    const { nodeId } = await session.send("DOM.querySelector", { nodeId: root.nodeId, selector: "h1" });
    const { fonts } = await session.send("CSS.getPlatformFontsForNode", { nodeId });
    assert.deepEqual(fonts.map((font) => font.familyName), ["Inter"], `with scripts: ${javaScriptEnabled}`);
  }
});
