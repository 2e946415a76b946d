// The page in Chromium, against its goals: size, first paint, layout shift, sorting, a live update.
//
//     node benches/page.mjs [--dash target/release/dash] [--runs 5]
//
// The daemon serves; "slow" is a processor at a quarter of its speed and a link of 10 Mbit/s with 40 ms. Medians.
import { execFileSync, spawn } from "node:child_process";
import { appendFileSync, mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { launch } from "../tests/browser/browser.js";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const { values } = parseArgs({
  options: { dash: { type: "string", default: path.join(root, "target/release/dash") }, runs: { type: "string", default: "5" } },
});
const runs = Number(values.runs);
const work = path.join(root, "target/bench/page");
const rows = [];

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
const milliseconds = (ms) => `${ms.toFixed(ms < 100 ? 1 : 0)} ms`;
const packed = (folder, names) => names.reduce((sum, name) => sum + gzipSync(readFileSync(path.join(folder, name))).length, 0);

// A new site of sample operations up to now.
function site(name, ...flags) {
  const folder = path.join(work, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const config = path.join(folder, "dash.toml");
  const log = path.join(folder, "content/operations/sample.jsonl");
  execFileSync(values.dash, ["init", "--quiet", folder]);
  execFileSync(values.dash, ["sample", "--to", log, ...flags], { stdio: "ignore" });
  const build = () => execFileSync(values.dash, ["build", "--quiet", "--config", config]);
  build();
  return { folder, output: path.join(folder, "output"), config, log, build };
}

async function serve({ config }) {
  const daemon = spawn(values.dash, ["serve", "--no-build", "--config", config, "--bind", "127.0.0.1:0"]);
  const url = await new Promise((resolve, reject) => {
    let said = "";
    daemon.stderr.on("data", (data) => {
      said += data;
      const serving = /serving (http:\/\/\S+)\n/.exec(said);
      if (serving) resolve(serving[1]);
    });
    daemon.on("exit", () => reject(new Error(said)));
  });
  return { url, stop: () => daemon.kill() };
}

function sizes(few, many) {
  const assets = readdirSync(path.join(few.output, "assets")).filter((name) => /\.(js|css)$/.test(name));
  const html = packed(few.output, ["index.html"]);
  rows.push(["overview of 5 wrappers, HTML", kilobytes(html), "≤ 60 kB"]);
  rows.push(["all scripts and styles", kilobytes(packed(path.join(few.output, "assets"), assets)), "≤ 500 kB"]);
  rows.push(["overview of 1,000 wrappers, HTML", kilobytes(packed(many.output, ["index.html"])), "≤ 300 kB"]);
}

// What the page notes of itself while it loads.
function note() {
  window.noted = { shift: 0 };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) noted.shift += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (entry.name === "first-contentful-paint") noted.paint = entry.startTime;
  }).observe({ type: "paint", buffered: true });
  const timer = setInterval(() => {
    const first = document.querySelector('[id^="chart-"]');
    if (!first?._fullLayout) return;
    noted.interactive = performance.now();
    clearInterval(timer);
  }, 10);
}

async function firstVisit(browser, url) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  const rate = (10e6 / 8) | 0;
  await session.send("Network.enable");
  await session.send("Network.emulateNetworkConditions", {
    offline: false, latency: 40, downloadThroughput: rate, uploadThroughput: rate,
  });
  await session.send("Emulation.setCPUThrottlingRate", { rate: 4 });
  await page.addInitScript(note);
  // A window that has just been opened loads pages of the browser's own, which whoever comes to a site has behind them.
  await setTimeout(1500);
  await page.goto(url);
  await page.waitForFunction(() => noted.interactive && noted.paint, null, { polling: 50 });
  const noted = await page.evaluate(() => noted);
  await context.close();
  return noted;
}

async function loading(browser, few) {
  const { url, stop } = await serve(few);
  const visits = [];
  for (let run = 0; run < runs; run += 1) visits.push(await firstVisit(browser, url));
  stop();
  const of = (name) => median(visits.map((visit) => visit[name]));
  rows.push(["slow: first contentful paint", milliseconds(of("paint")), "≤ 500 ms"]);
  rows.push(["slow: Plotly charts interactive", milliseconds(of("interactive")), "≤ 2,000 ms"]);
  rows.push(["slow: layout shift", of("shift").toFixed(3), "0.00"]);
}

// Each of some columns; from the click until the page is laid out again.
async function sorting(browser, many) {
  const { url, stop } = await serve(many);
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(url);
  await page.waitForFunction(() => document.querySelector("#chart-system")?._fullLayout, null, { polling: 50 });
  const times = await page.evaluate(async (runs) => {
    const times = [];
    const names = ["name", "score", "operations", "p95", "cost"];
    for (let run = 0; run < runs; run += 1) {
      const button = document.querySelector(`[data-key="${names[run % names.length]}"] button`);
      const begun = performance.now();
      button.click();
      document.body.getBoundingClientRect();
      times.push(performance.now() - begun);
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    }
    return times;
  }, runs * 2);
  await page.close();
  stop();
  rows.push(["1,000 wrappers: sort", milliseconds(median(times)), "< 100 ms"]);
}

// All tasks of the main thread from the appended line to the page at rest, less what it does when nothing happens.
async function updating(browser, few) {
  const { url, stop } = await serve(few);
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(url);
  await page.locator('#link-state[data-state="live"]').waitFor();
  await page.waitForFunction(() => document.querySelector("#chart-system")?._fullLayout, null, { polling: 50 });
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const busy = async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return metrics.find((metric) => metric.name === "TaskDuration").value * 1000;
  };
  const over = async (work) => {
    const begun = await busy();
    await work();
    await page.waitForTimeout(1000);
    return (await busy()) - begun;
  };
  const last = readFileSync(few.log, "utf8").trimEnd().split("\n").at(-1);
  const times = [];
  for (let run = 0; run < runs; run += 1) {
    const idle = await over(() => {});
    const cost = await over(async () => {
      const id = await page.evaluate(() => dashSnapshot.id);
      const end_time = new Date().toISOString();
      appendFileSync(few.log, `${JSON.stringify({ ...JSON.parse(last), end_time, start_time: undefined })}\n`);
      few.build();
      await page.waitForFunction((id) => dashSnapshot.id !== id, id, { polling: 100 });
    });
    times.push(cost - idle);
  }
  await page.close();
  stop();
  rows.push(["live update of the overview, main thread", milliseconds(median(times)), "< 50 ms"]);
}

const [few, many] = [site("few"), site("many", "--wrappers", "1000", "--days", "1", "--rate", "150/min")];
const browser = await launch();
try {
  sizes(few, many);
  await loading(browser, few);
  await sorting(browser, many);
  await updating(browser, few);
} finally {
  await browser.close();
}
console.log("| page | measured | goal |\n| --- | --- | --- |");
for (const row of rows) console.log(`| ${row.join(" | ")} |`);
