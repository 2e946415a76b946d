// The site without a network: `DASH_SITE=<folder> node --test offline.test.js`.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { launch, often, open, phone } from "./browser.js";
import { host } from "./host.js";

const folder = process.env.DASH_SITE;
const options = { skip: folder ? false : "`DASH_SITE` names no folder", timeout: 60000 };

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

// Until the worker serves the page.
async function installed(page) {
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.waitForFunction(() => navigator.serviceWorker.controller, null, often);
}

test("the last snapshot opens without a network, at its own address, and says that it is old", options, async (t) => {
  const { url, stop } = await host(t, folder);
  const page = await open(browser, url, phone);
  t.after(() => page.context().close());
  await installed(page);
  const wrapper = `wrappers/${readdirSync(path.join(folder, "wrappers"))[0]}`;
  await page.goto(url + wrapper);
  const heading = await page.locator("h1").textContent();
  assert.deepEqual(page.complaints, []);
  await stop();

  await page.goto(`${url + wrapper}?q=1#range=7D`);
  assert.equal(await page.locator("h1").textContent(), heading);
  await page.locator("#link-state", { hasText: "offline" }).waitFor();
  await page.goto(`${url}data-quality`);
  assert.equal(await page.locator("h1").textContent(), "Data quality");
  await page.goto(url);
  assert.ok(await page.locator("#wrapper-table tbody tr").first().isVisible());
  // What was never seen leads to the overview.
  await page.goto(`${url}wrappers/never-seen.html`);
  assert.ok(await page.locator("#wrapper-table").isVisible());
});

test("as long as there is a network, pages are the newest", options, async (t) => {
  const replaced = {};
  const { url } = await host(t, folder, replaced);
  const page = await open(browser, url);
  t.after(() => page.context().close());
  await installed(page);
  replaced["index.html"] = readFileSync(path.join(folder, "index.html"), "utf8").replace(/<h1>/, "<h1>Newer: ");
  await page.reload();
  assert.match(await page.locator("h1").textContent(), /^Newer: /);
});

test("a newer version of the site drops what an older one kept", options, async (t) => {
  const replaced = {};
  const { url } = await host(t, folder, replaced);
  const page = await open(browser, url);
  t.after(() => page.context().close());
  await installed(page);
  await page.evaluate(async (url) => {
    const assets = await caches.open(`dash ${url} assets`);
    await assets.put(`${url}assets/app.00000000.js`, new Response("old"));
    await caches.open(`dash ${url} of another time`);
    await caches.open("another program's");
  }, url);
  replaced["sw.js"] = `${readFileSync(path.join(folder, "sw.js"), "utf8")}\n// newer\n`;
  // A worker is activated when it has put things in order.
  await page.evaluate(async () => {
    const registration = await (await navigator.serviceWorker.getRegistration()).update();
    const worker = registration.installing ?? registration.waiting ?? registration.active;
    await new Promise((resolve) => {
      const look = () => worker.state === "activated" && resolve();
      worker.addEventListener("statechange", look);
      look();
    });
  });
  assert.equal(await page.evaluate((url) => caches.match(`${url}assets/app.00000000.js`), url), undefined);
  assert.deepEqual(
    (await page.evaluate(() => caches.keys())).toSorted(),
    ["another program's", `dash ${url} assets`, `dash ${url} pages`].toSorted(),
  );
});

test("the site can be installed", options, async (t) => {
  const { url } = await host(t, folder);
  const page = await open(browser, url);
  t.after(() => page.context().close());
  const session = await page.context().newCDPSession(page);
  const { errors, data, url: found } = await session.send("Page.getAppManifest");
  assert.deepEqual(errors, []);
  assert.equal(found, `${url}site.webmanifest`);
  for (const { src, sizes, type } of JSON.parse(data).icons) {
    const bytes = readFileSync(path.join(folder, src));
    if (type !== "image/png") {
      assert.match(bytes.toString(), /^<svg/);
      continue;
    }
    assert.equal(bytes.subarray(1, 4).toString(), "PNG");
    assert.equal(`${bytes.readUInt32BE(16)}x${bytes.readUInt32BE(20)}`, sizes);
  }
  const touch = await page.locator('link[rel="apple-touch-icon"]').getAttribute("href");
  assert.equal(readFileSync(path.join(folder, touch)).readUInt32BE(16), 180);
});
