// A built site, opened as files: `DASH_SITE=<its folder> node --test site.test.js`. It has some wrappers with
// operations in the last day.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { desktop, drawn, launch, open, phone, tablet } from "./browser.js";

const folder = process.env.DASH_SITE;
const options = { skip: folder ? false : "`DASH_SITE` names no folder" };
const at = (page) => pathToFileURL(path.join(folder, page)).href;

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

function wrapperPages() {
  return readdirSync(path.join(folder, "wrappers")).map((name) => `wrappers/${name}`);
}

test("every page opens without an error, from nowhere but its folder", options, async () => {
  for (const name of ["index.html", "activity.html", "data-quality.html", ...wrapperPages()]) {
    const page = await open(browser, at(name));
    await page.waitForLoadState("load");
    const charts = await page.locator(".chart-frame:not([hidden]) .figure-place").all();
    for (const chart of charts) await drawn(page, await chart.getAttribute("id"));
    assert.deepEqual(page.complaints, [], name);
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wider <= 0, `${name} is ${wider} px wider than the window`);
    await page.context().close();
  }
});

test("no page is wider than a phone or a tablet", options, async () => {
  for (const [size, wrappers] of [[phone, wrapperPages()], [tablet, wrapperPages().slice(0, 1)]]) {
    for (const name of ["index.html", "activity.html", "data-quality.html", ...wrappers]) {
      const page = await open(browser, at(name), size);
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wider <= 0, `${name} is ${wider} px wider than ${size.viewport.width} px`);
      await page.context().close();
    }
  }
});

test("on a tablet the navigation is in reach, and tables are tables", options, async (t) => {
  const page = await open(browser, at("index.html"), tablet);
  t.after(() => page.context().close());
  assert.equal(await page.locator("#menu-button").isVisible(), false);
  const places = await page.locator(".site-nav a:visible").evaluateAll((links) => links.map((link) => link.getBoundingClientRect().toJSON()));
  assert.ok(places.length >= 5 && places.every(({ top, right }) => top === places[0].top && right <= 820), "the navigation is one line");
  assert.equal(await page.locator("#wrapper-table").evaluate((table) => getComputedStyle(table).display), "table");
  const cards = await page.locator(".panel.figure").evaluateAll((cards) => cards.map((card) => card.getBoundingClientRect().width));
  assert.ok(cards.length === 4 && cards.every((width) => width > 170), `cards are ${cards} px wide`);
});

test("a page that has stood for long says that its data is old", options, async (t) => {
  for (const [clock, old] of [["2026-01-25T13:05:00Z", false], ["2026-01-25T13:30:00Z", true]]) {
    const page = await open(browser, at("index.html"), desktop, (page) => page.clock.setFixedTime(clock));
    t.after(() => page.context().close());
    await page.waitForFunction(() => document.querySelector('[data-stamp="last_data"]').textContent.includes("ago"), null, { polling: 50 });
    assert.equal(await page.locator(".verdict-symbol.status-stale").count(), Number(old), clock);
    assert.equal(await page.locator('[data-stamp="last_data"].stale').count(), Number(old), clock);
  }
});

test("colours follow the system, or the reader's choice", options, async (t) => {
  const page = await open(browser, at("index.html"), { ...desktop, colorScheme: "dark" });
  t.after(() => page.context().close());
  const theme = () => page.evaluate(() => document.documentElement.dataset.bsTheme);
  assert.equal(await theme(), "dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.waitForFunction(() => document.documentElement.dataset.bsTheme === "light");
  const button = page.locator("#theme-button");
  await button.click();
  await button.click();
  assert.equal(await theme(), "dark");
  await page.reload();
  assert.equal(await theme(), "dark");
  assert.match(await button.textContent(), /Colours: dark/);
});

test("the menu opens on a phone", options, async (t) => {
  const page = await open(browser, at("index.html"), phone);
  t.after(() => page.context().close());
  const link = page.getByRole("link", { name: "Data quality", exact: true });
  assert.equal(await link.isVisible(), false);
  await page.getByRole("button", { name: "Menu" }).click();
  await link.click();
  await page.waitForURL(/data-quality\.html$/);
  assert.deepEqual(page.complaints, []);
});

test("on paper the page is a report: on white, tables as tables, nothing to click on", options, async (t) => {
  const page = await open(browser, at(wrapperPages()[0]), { viewport: { width: 698, height: 1000 }, colorScheme: "dark" });
  t.after(() => page.context().close());
  await page.emulateMedia({ media: "print" });
  const style = (selector, name) =>
    page.evaluate(([selector, name]) => getComputedStyle(document.querySelector(selector))[name], [selector, name]);
  assert.equal(await style(".site-nav", "display"), "none");
  assert.equal(await style("#model-table", "display"), "table");
  assert.equal(await style(".panel", "backgroundColor"), "rgb(255, 255, 255)");
  assert.equal(await style("h1", "color"), "rgb(22, 27, 34)");
  const pdf = await page.pdf({ preferCSSPageSize: true });
  const pages = pdf.toString("latin1").match(/\/Type\s*\/Page\b/g).length;
  assert.ok(pages >= 2 && pages <= 8, `${pages} pages`);
  assert.deepEqual(page.complaints, []);
});
