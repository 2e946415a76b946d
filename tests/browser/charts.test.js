// The charts of a built site: `DASH_SITE=<its folder> node --test charts.test.js`. It has some wrappers with
// operations in the last day, and hours without.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { desktop, drawn, launch, often, open, phone, shownRange, tablet, zoom } from "./browser.js";

const folder = process.env.DASH_SITE;
const options = { skip: folder ? false : "`DASH_SITE` names no folder" };
const at = (page) => pathToFileURL(path.join(folder, page)).href;
const wrapper = () => `wrappers/${readdirSync(path.join(folder, "wrappers"))[0]}`;
const hour = 3600000;

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

// The one drawing of a chart that shows.
const drawing = (page, chart) => page.locator(`.chart:has(#${chart}) .view > svg:visible`);

// Where the labels and lines of a chart are, from its upper left corner: [what, x, y] of the middle of each
// label and of both corners of all lines of one colour.
const geometry = (page, chart, plotly) =>
  page.evaluate(
    ([id, plotly]) => {
      const chart = document.getElementById(id).closest(".chart");
      const origin = chart.getBoundingClientRect();
      const box = (element) => {
        const { left, right, top, bottom } = element.getBoundingClientRect();
        return [left - origin.left, right - origin.left, top - origin.top, bottom - origin.top];
      };
      const all = (selector) => [...chart.querySelectorAll(selector)].filter((element) => element.getBoundingClientRect().width);
      const places = all(plotly ? ".xtick text, .ytick text, .y2tick text" : ".view svg g text").map((label) => {
        const [left, right, top, bottom] = box(label);
        return [label.textContent, (left + right) / 2, (top + bottom) / 2];
      });
      const lines = Object.groupBy(all(plotly ? "path.js-line" : "path.line"), (line) => getComputedStyle(line).stroke);
      for (const [stroke, parts] of Object.entries(lines)) {
        const edge = (side, pick) => pick(...parts.map((part) => box(part)[side]));
        places.push([`${stroke} from`, edge(0, Math.min), edge(2, Math.min)]);
        places.push([`${stroke} to`, edge(1, Math.max), edge(3, Math.max)]);
      }
      return places.sort((a, b) => a[0].localeCompare(b[0]) || a[1] - b[1]);
    },
    [chart, plotly],
  );

test("with scripts off every chart is there, and ranges are links", options, async (t) => {
  for (const size of [desktop, tablet, phone]) {
    const page = await open(browser, at("index.html"), { ...size, javaScriptEnabled: false });
    t.after(() => page.context().close());
    assert.equal(await drawing(page, "chart-system").count(), 1);
    assert.equal(await drawing(page, "chart-health").count(), 1);
    assert.ok((await drawing(page, "chart-system").locator("path.line").count()) > 1);
    const shown = () => page.locator(".chart:has(#chart-system) .view:visible").getAttribute("data-view");
    assert.equal(await shown(), "24H");
    for (const range of ["7D", "1H", "30D", "24H"]) {
      await page.getByRole("link", { name: range, exact: true }).click();
      assert.equal(await shown(), range);
      assert.ok(page.url().endsWith(`#range=${range}`));
    }
    await page.goto(`${at(wrapper())}#range=7D`);
    for (const chart of ["performance", "percentiles"]) {
      const view = page.locator(`.chart:has(#chart-${chart}) .view:visible`);
      assert.equal(await view.getAttribute("data-view"), "7D");
    }
    assert.ok(await page.locator(".legend", { hasText: "p95" }).first().isVisible());
  }
});

test("choosing a range does not move the page", options, async (t) => {
  const page = await open(browser, at(wrapper()), { ...desktop, javaScriptEnabled: false });
  t.after(() => page.context().close());
  const link = page.getByRole("link", { name: "7D", exact: true });
  await link.scrollIntoViewIfNeeded();
  await page.evaluate(() => scrollBy({ top: 200, behavior: "instant" }));
  assert.ok((await page.evaluate(() => scrollY)) > 0);
  const top = async () => (await link.boundingBox()).y;
  const before = await top();
  await link.click();
  assert.equal(await top(), before);
});

test("Plotly takes the place of a drawing and nothing moves", options, async (t) => {
  for (const size of [desktop, tablet, phone]) {
    const page = await open(browser, at(wrapper()), size, (page) =>
      page.addInitScript(() => {
        window.shifts = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) window.shifts += entry.value;
        }).observe({ type: "layout-shift" });
      }),
    );
    t.after(() => page.context().close());
    // Both in the same typeface, which a busy machine may have too late for a visit.
    for (let visit = 1; visit < 10 && !(await page.evaluate(() => document.fonts.size)); visit += 1) await page.reload();
    const still = await open(browser, at(wrapper()), { ...size, javaScriptEnabled: false });
    t.after(() => still.context().close());
    for (const chart of ["performance", "percentiles", "distribution", "heat", "operations", "errors", "cost"].map((name) => `chart-${name}`)) {
      await drawn(page, chart);
      const [before, after] = [await geometry(still, chart, false), await geometry(page, chart, true)];
      assert.deepEqual(after.map((place) => place[0]), before.map((place) => place[0]));
      before.forEach(([what, x, y], at) => {
        const away = Math.max(Math.abs(x - after[at][1]), Math.abs(y - after[at][2]));
        assert.ok(away < 2, `${chart}: ${what} moves by ${away} px`);
      });
      assert.equal(await page.locator(`.chart:has(#${chart}) .views`).isVisible(), false);
    }
    assert.equal(await page.evaluate(() => window.shifts), 0);
    assert.deepEqual(page.complaints, []);
  }
});

test("only charts that come into view are taken over", options, async (t) => {
  const page = await open(browser, at(wrapper()), { viewport: { width: 800, height: 300 } });
  t.after(() => page.context().close());
  await drawn(page, "chart-performance");
  assert.equal(await page.locator("#chart-distribution.js-plotly-plot").count(), 0);
  assert.ok(await page.locator(".chart:has(#chart-distribution) .views").isVisible());
  await drawn(page, "chart-distribution");
});

test("the range is chosen for all charts, and kept in the address", options, async (t) => {
  const page = await open(browser, at(wrapper()));
  t.after(() => page.context().close());
  await page.getByRole("link", { name: "7D", exact: true }).click();
  for (const chart of ["chart-performance", "chart-percentiles"]) {
    await drawn(page, chart);
    const [from, to] = await shownRange(page, chart);
    assert.equal(to - from, 168 * hour, chart);
  }
  assert.equal(await page.getByRole("link", { name: "7D", exact: true }).getAttribute("aria-current"), "true");
  assert.match(page.url(), /#range=7D$/);
  await page.reload();
  await drawn(page, "chart-performance");
  const [from, to] = await shownRange(page, "chart-performance");
  assert.equal(to - from, 168 * hour);
  const next = await page.locator("[data-carries-range]").first().getAttribute("href");
  assert.match(next, /#range=7D$/);
  assert.deepEqual(page.complaints, []);
});

test("dragging over a chart chooses the range of all, which can be shared and left again", options, async (t) => {
  const page = await open(browser, at(wrapper()));
  t.after(() => page.context().close());
  await drawn(page, "chart-performance");
  const whole = await shownRange(page, "chart-performance");
  await zoom(page, "chart-performance");
  await page.waitForFunction(() => location.hash.includes("/"));
  const chosen = await shownRange(page, "chart-performance");
  assert.ok(chosen[0] > whole[0] && chosen[1] < whole[1], "the zoom is inside of the whole range");
  await drawn(page, "chart-percentiles");
  assert.deepEqual(await shownRange(page, "chart-percentiles"), chosen);
  assert.equal(await page.locator(".ranges [aria-current]").count(), 0);

  const shared = await open(browser, page.url());
  t.after(() => shared.context().close());
  await drawn(shared, "chart-percentiles");
  assert.deepEqual(await shownRange(shared, "chart-percentiles"), chosen);

  await page.locator("#chart-percentiles .nsewdrag").first().dblclick();
  await page.waitForFunction(() => location.hash === "#range=24H", null, often);
  assert.deepEqual(await shownRange(page, "chart-percentiles"), whole);
  assert.deepEqual(page.complaints, []);
});

test("an address that names no range is passed over", options, async (t) => {
  for (const hash of ["range=", "range=2H", "range=a/b", "range=2026-01-25T10:00Z/2026-01-25T09:00Z", "range=%E0%A4%A"]) {
    const page = await open(browser, `${at("index.html")}#${hash}`);
    t.after(() => page.context().close());
    await drawn(page, "chart-system");
    const [from, to] = await shownRange(page, "chart-system");
    assert.equal(to - from, 24 * hour, hash);
    assert.deepEqual(page.complaints, [], hash);
  }
});

test("a time without operations is a gap in the line", options, async (t) => {
  const page = await open(browser, `${at("index.html")}#range=7D`, { ...desktop, javaScriptEnabled: false });
  t.after(() => page.context().close());
  // The site's log is of one day: the rest of the week is marked, and the lines stay within the day.
  const { gap, line, plot } = await page.evaluate(() => {
    const view = document.querySelector('.chart:has(#chart-system) [data-view="7D"] svg');
    const box = (selector) => view.querySelector(selector).getBoundingClientRect().toJSON();
    return { gap: box(".gap"), line: box(".line"), plot: view.getBoundingClientRect().toJSON() };
  });
  assert.ok(gap.width > plot.width * 0.8 && gap.height > plot.height * 0.9, "the days without data are marked");
  assert.ok(line.left > plot.left + plot.width * 0.8, "no line is drawn where there is no data");
});

test("a name in the legend hides its line", options, async (t) => {
  const page = await open(browser, at(wrapper()));
  t.after(() => page.context().close());
  await drawn(page, "chart-percentiles");
  const lines = () => page.locator("#chart-percentiles .scatterlayer .trace").count();
  const before = await lines();
  const button = page.locator(".legend button", { hasText: "p99" });
  await button.click();
  await page.waitForFunction((count) => document.querySelectorAll("#chart-percentiles .scatterlayer .trace").length === count, before - 1, often);
  assert.equal(await button.getAttribute("aria-pressed"), "false");
  await button.press("Enter");
  await page.waitForFunction((count) => document.querySelectorAll("#chart-percentiles .scatterlayer .trace").length === count, before, often);
});
