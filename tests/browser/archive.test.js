// A kept snapshot, opened as files: `DASH_SITE=<folder of a site with one> node --test archive.test.js`.
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { drawn, launch, open } from "./browser.js";

const folder = process.env.DASH_SITE;
const options = { skip: folder ? false : "`DASH_SITE` names no folder" };

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

function entry() {
  const archive = path.join(folder, "archive");
  return path.join(archive, readdirSync(archive).find((name) => /^\d{8}T/.test(name)));
}

test("the pages of a kept snapshot work, and lead to each other", options, async (t) => {
  const page = await open(browser, pathToFileURL(path.join(entry(), "index.html")).href);
  t.after(() => page.context().close());
  await drawn(page, "chart-system");
  await page.locator("#wrapper-table tbody a").first().click();
  await drawn(page, "chart-performance");
  assert.equal(await page.locator("#kept").count(), 1);
  await page.locator("#kept a").last().click();
  await page.waitForURL((url) => url.pathname === pathToFileURL(path.join(folder, "index.html")).pathname);
  assert.deepEqual(page.complaints, []);
});

test("the self-contained overview works on its own", options, async (t) => {
  const elsewhere = mkdtempSync(path.join(os.tmpdir(), "dash-mail-"));
  t.after(() => rmSync(elsewhere, { recursive: true }));
  const file = path.join(elsewhere, "report.html");
  copyFileSync(path.join(entry(), "report.html"), file);
  const page = await open(browser, pathToFileURL(file).href);
  t.after(() => page.context().close());
  assert.ok(await page.locator(".chart-system .plot:visible").first().isVisible());
  const style = await page.locator(".site-header").evaluate((header) => getComputedStyle(header).borderBottomStyle);
  assert.equal(style, "solid");
  const menu = page.locator('.save[data-of="chart-system"]');
  await menu.locator("summary").click();
  assert.equal(await menu.getByRole("button").count(), 1, "without Plotly, values are what can be saved");
  const [saved] = await Promise.all([page.waitForEvent("download"), menu.getByRole("button", { name: "CSV" }).click()]);
  assert.match(readFileSync(await saved.path(), "utf8"), /^time,"External_API, %"/);
  assert.deepEqual(page.complaints, []);
});
