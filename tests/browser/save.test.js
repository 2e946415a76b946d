// Charts saved by a reader, from a page that is opened as a file: `DASH_SITE=<a built site> node --test save.test.js`.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { inflateSync } from "node:zlib";
import { desktop, drawn, launch, open, phone } from "./browser.js";

const folder = process.env.DASH_SITE;
const program = process.env.DASH_BIN;
const options = { skip: folder && program ? false : "`DASH_SITE` or `DASH_BIN` is not set", timeout: 120000 };
const at = (page) => pathToFileURL(path.join(folder, page)).href;
const wrapper = () => `wrappers/${readdirSync(path.join(folder, "wrappers"))[0]}`;

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

// What the browser was handed: its name and its bytes.
async function saved(page, chart, format) {
  const menu = page.locator(`.save[data-of="chart-${chart}"]`);
  await menu.locator("summary").click();
  const [download] = await Promise.all([page.waitForEvent("download"), menu.getByRole("button", { name: format }).click()]);
  assert.equal(await menu.evaluate((details) => details.open), false);
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
}

function cells(text) {
  const rows = text.replace(/\r\n$/, "").split("\r\n");
  return rows.map((row) => [...row.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain));
}

test("every chart is saved as picture, page and numbers", options, async (t) => {
  for (const size of [desktop, phone]) {
    const page = await open(browser, at(wrapper()), size);
    t.after(() => page.context().close());
    await drawn(page, "chart-performance");
    const png = await saved(page, "performance", "PNG");
    assert.match(png.name, /^[\p{L}\p{N}-]+-performance\.png$/u);
    assert.equal(png.bytes.subarray(0, 8).toString("latin1"), "\x89PNG\r\n\x1a\n");
    const shown = (await page.locator("#chart-performance").boundingBox()).width;
    assert.ok(Math.abs(png.bytes.readUInt32BE(16) - 2 * shown) <= 4, "a PNG has two pixels to one of the page");

    const svg = (await saved(page, "performance", "SVG")).bytes.toString();
    assert.match(svg, /^<svg /);
    assert.match(svg, /Success rate and response time over time/);
    assert.match(svg, /p95 response time/);

    const pdf = (await saved(page, "performance", "PDF")).bytes;
    assert.equal(pdf.subarray(0, 8).toString(), "%PDF-1.4");
    const text = pdf.toString("latin1");
    const [, width, height, length] = /\/Width (\d+)\/Height (\d+).*?\/Length (\d+)>>stream\n/s.exec(text);
    const start = text.indexOf("stream\n") + 7;
    assert.equal(inflateSync(pdf.subarray(start, start + Number(length))).length, width * height * 3);
    const table = Number(/startxref\n(\d+)\n%%EOF\n$/.exec(text)[1]);
    assert.equal(text.slice(table, table + 4), "xref");
    const places = [...text.slice(table).matchAll(/^(\d{10}) 00000 n $/gm)].map(([, place]) => Number(place));
    places.forEach((place, at) => assert.ok(text.startsWith(`${at + 1} 0 obj\n`, place), `object ${at + 1}`));
    assert.deepEqual(page.complaints, []);
  }
});

test("the numbers are those that `dash export chart` writes", options, async (t) => {
  const site = path.dirname(folder);
  const page = await open(browser, at(wrapper()));
  t.after(() => page.context().close());
  for (const chart of ["performance", "percentiles", "distribution", "heat", "operations", "errors", "cost", "tokens"]) {
    await drawn(page, `chart-${chart}`);
    const there = cells((await saved(page, chart, "CSV")).bytes.toString());
    const wrapper = (await page.locator("h1 bdi").innerText()).trim();
    const options = ["export", "chart", chart, "--wrapper", wrapper, "--format", "csv", "--now", "2026-01-25T13:00:00Z"];
    const here = cells(execFileSync(program, [...options, "--config", path.join(site, "dash.toml")], { encoding: "utf8" }));
    assert.deepEqual(there[0], here[0], chart);
    // The page leaves out times without any value at both ends, and a time that nothing is known of.
    const values = (rows) => new Map(rows.slice(1).map(([first, ...rest]) => [first, rest]));
    const [all, some] = [values(here), values(there)];
    assert.ok(some.size > 3, `${chart} has ${some.size} rows`);
    for (const [first, row] of some) assert.deepEqual(row, all.get(first), `${chart} at ${first}`);
    for (const [first, row] of all) assert.ok(some.has(first) || row.every((value) => value === "" || value === "0"), `${chart} at ${first}`);
  }
  assert.deepEqual(page.complaints, []);
});

test("only what is shown is saved", options, async (t) => {
  const page = await open(browser, `${at(wrapper())}#range=2026-01-25T10:00Z/2026-01-25T12:00Z`);
  t.after(() => page.context().close());
  await drawn(page, "chart-percentiles");
  await page.locator(".legend button", { hasText: "p99" }).click();
  const [head, ...rows] = cells((await saved(page, "percentiles", "CSV")).bytes.toString());
  assert.deepEqual(head, ["time", "p50, ms", "p95, ms"]);
  assert.ok(rows.length > 3);
  assert.ok(rows.every(([time]) => time >= "2026-01-25T10:00:00Z" && time <= "2026-01-25T12:00:00Z"));
});

test("a name is no formula in a spreadsheet", options, async (t) => {
  const site = mkdtempSync(path.join(tmpdir(), "dash-save-"));
  t.after(() => rmSync(site, { recursive: true }));
  execFileSync(program, ["init", site], { stdio: "ignore" });
  const record = (wrapper_name) => JSON.stringify({ wrapper_name, end_time: "2026-01-25T12:30:00Z", duration_ms: 5, status: "success" });
  const lines = ['=1+1', 'a,"b" <i>&amp;', "-2"].map(record);
  writeFileSync(path.join(site, "content/operations/a.jsonl"), `${lines.join("\n")}\n`);
  execFileSync(program, ["build", "--config", path.join(site, "dash.toml"), "--now", "2026-01-25T13:00:00Z"], { stdio: "ignore" });
  const page = await open(browser, pathToFileURL(path.join(site, "output/index.html")).href);
  t.after(() => page.context().close());
  await drawn(page, "chart-system");
  const text = (await saved(page, "system", "CSV")).bytes.toString();
  assert.deepEqual(cells(text)[0], ["time", "'-2, %", "'=1+1, %", 'a,"b" <i>&amp;, %']);
  assert.ok(text.includes('"a,""b"" <i>&amp;, %"'), text);
  const health = cells((await saved(page, "health", "CSV")).bytes.toString());
  assert.deepEqual(health[0], ["name", "Health, %"]);
  assert.deepEqual(health.slice(1).map(([name]) => name).sort(), ["'-2", "'=1+1", 'a,"b" <i>&amp;']);
});

test("the menu is left with Escape, or by a click elsewhere", options, async (t) => {
  const page = await open(browser, at("index.html"));
  t.after(() => page.context().close());
  const [first, second] = ["system", "operations"].map((chart) => page.locator(`.save[data-of="chart-${chart}"]`));
  const isOpen = (menu) => menu.evaluate((details) => details.open);
  await first.locator("summary").focus();
  await page.keyboard.press("Enter");
  assert.equal(await isOpen(first), true);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Escape");
  assert.equal(await isOpen(first), false);
  assert.equal(await first.locator("summary").evaluate((summary) => summary === document.activeElement), true);
  await first.locator("summary").click();
  await second.locator("summary").click();
  assert.deepEqual([await isOpen(first), await isOpen(second)], [false, true]);
});
