// The table of wrappers: `DASH_SITE=<a site's folder> DASH_MANY=<that of one with many wrappers> node --test table.test.js`.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { desktop, launch, open, phone } from "./browser.js";

const [few, many] = [process.env.DASH_SITE, process.env.DASH_MANY];
const options = { skip: few && many ? false : "`DASH_SITE` or `DASH_MANY` names no folder" };
const overview = (folder) => pathToFileURL(path.join(folder, "index.html")).href;
const rows = (page) => page.locator("#wrapper-table tbody tr:visible");
const header = (page, name) => page.locator("#wrapper-table th", { hasText: name });
const names = (page) => rows(page).locator("th").allTextContents();
const focused = (page) => page.evaluate(() => document.activeElement.textContent);

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

async function visit(t, address, options = desktop) {
  const page = await open(browser, address, options);
  t.after(async () => {
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });
  return page;
}

test("the table sorts by click and by key", options, async (t) => {
  const page = await visit(t, overview(few));
  const values = () => page.locator('#wrapper-table tbody td[data-label="Operations"]').evaluateAll(
    (cells) => cells.map((cell) => Number(cell.dataset.value)),
  );
  await header(page, "Operations").getByRole("button").click();
  assert.equal(await header(page, "Operations").getAttribute("aria-sort"), "descending");
  assert.deepEqual(await values(), (await values()).toSorted((a, b) => b - a));
  await header(page, "Operations").getByRole("button").press("Enter");
  assert.equal(await header(page, "Operations").getAttribute("aria-sort"), "ascending");
  assert.deepEqual(await values(), (await values()).toSorted((a, b) => a - b));
});

test("a slash searches, arrows go through what is found, Enter opens it, Escape forgets", options, async (t) => {
  const page = await visit(t, overview(few));
  const all = await names(page);
  await page.keyboard.press("/");
  await page.keyboard.type(all[2].toUpperCase());
  assert.deepEqual(await names(page), [all[2]]);
  assert.equal(await page.locator("#wrapper-table-count").textContent(), `1 of ${all.length} shown`);
  await page.keyboard.press("Escape");
  assert.deepEqual(await names(page), all);
  await page.keyboard.press("ArrowDown");
  assert.equal(await focused(page), all[0]);
  await page.keyboard.press("ArrowDown");
  assert.equal(await focused(page), all[1]);
  await page.keyboard.press("End");
  assert.equal(await focused(page), all.at(-1));
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowUp");
  assert.equal(await page.evaluate(() => document.activeElement.id), "wrapper-search");
  await page.keyboard.type("no wrapper is called this");
  assert.equal(await rows(page).count(), 0);
  assert.match(await page.locator("#wrapper-table-count").textContent(), /^None of/);
  await page.keyboard.press("Escape");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL(/wrappers\/.*\.html/);
  assert.ok((await page.locator("h1").textContent()).includes(all[0]));
});

test("what the reader sees can be sent as a link", options, async (t) => {
  const page = await visit(t, overview(many));
  await page.getByRole("button", { name: "Healthy", exact: true }).click();
  await page.getByRole("searchbox").fill("1");
  await header(page, "Operations").getByRole("button").click();
  const seen = await names(page);
  assert.ok(seen.length > 1);
  const address = new URL(page.url());
  assert.equal(address.search, "?status=healthy&q=1&sort=-operations");
  const other = await visit(t, address.href, phone);
  assert.deepEqual(await names(other), seen);
  assert.equal(await other.getByRole("searchbox").inputValue(), "1");
  const chip = other.getByRole("button", { name: "Healthy", exact: true });
  assert.equal(await chip.getAttribute("aria-pressed"), "true");
  await chip.click();
  await other.getByRole("searchbox").fill("");
  assert.equal(new URL(other.url()).search, "?sort=-operations");
});

test("an address that names nothing known is passed over", options, async (t) => {
  const page = await visit(t, `${overview(few)}?sort=-nonsense&status=purple,&rows=some`);
  assert.ok(await rows(page).count() > 1);
  assert.equal(await page.locator("#wrapper-table-count").textContent(), "");
});

test("of a thousand wrappers a hundred are shown, and all are searched", options, async (t) => {
  const page = await visit(t, overview(many));
  assert.equal(await rows(page).count(), 100);
  assert.equal(await page.locator("#wrapper-table-count").textContent(), "100 of 1000 shown");
  const last = (await page.locator("#wrapper-table tbody tr th").allTextContents()).at(-1);
  await page.getByRole("searchbox").fill(last);
  assert.ok((await names(page)).includes(last));
  await page.getByRole("searchbox").fill("");
  await page.getByRole("button", { name: "Show all" }).click();
  assert.equal(await rows(page).count(), 1000);
});

test("pages stay small", options, () => {
  const packed = (file) => gzipSync(readFileSync(file)).length;
  assert.ok(packed(path.join(few, "index.html")) <= 60_000);
  assert.ok(packed(path.join(many, "index.html")) <= 300_000);
  const assets = readdirSync(path.join(few, "assets")).filter((name) => /\.(js|css)$/.test(name));
  const sum = assets.reduce((sum, name) => sum + packed(path.join(few, "assets", name)), 0);
  assert.ok(sum <= 500_000, `${sum} bytes of scripts and styles`);
});

test("without scripts every wrapper is there", options, async (t) => {
  const page = await visit(t, overview(many), { ...phone, javaScriptEnabled: false });
  assert.equal(await rows(page).count(), 1000);
  assert.equal(await page.getByRole("searchbox").isVisible(), false);
});
