// The page and the daemon together: `DASH_BIN=<the program> node --test live.test.js`.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { drawn, launch, often, open, shownRange, zoom } from "./browser.js";

const program = process.env.DASH_BIN;
const options = { skip: program ? false : "`DASH_BIN` names no program", timeout: 120000 };

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

function record(secondsAgo) {
  const end_time = new Date(Date.now() - secondsAgo * 1000).toISOString();
  return `${JSON.stringify({ wrapper_name: "RouteLLM", end_time, duration_ms: 800, status: "success" })}\n`;
}

// Starts the daemon over a new site; says where it serves and which log it reads. `flags` are the daemon's.
async function serve(...flags) {
  const folder = mkdtempSync(path.join(tmpdir(), "dash-live-"));
  execFileSync(program, ["init", folder], { stdio: "ignore" });
  const log = path.join(folder, "content/operations/live.jsonl");
  let text = "";
  for (let minute = 40; minute > 0; minute -= 1) text += record(minute * 60);
  writeFileSync(log, text);
  const config = path.join(folder, "dash.toml");
  const build = () => execFileSync(program, ["build", "--config", config], { stdio: "ignore" });
  if (flags.includes("--no-build")) build();
  const daemon = spawn(program, ["serve", "--config", config, "--bind", "127.0.0.1:0", ...flags]);
  const url = await new Promise((resolve, reject) => {
    let said = "";
    daemon.stderr.on("data", (data) => {
      said += data;
      const serving = /serving (http:\/\/\S+)\n/.exec(said);
      if (serving) resolve(serving[1]);
    });
    daemon.on("exit", () => reject(new Error(`the daemon ended: ${said}`)));
  });
  const ended = new Promise((resolve) => daemon.once("exit", resolve));
  const stop = () => {
    daemon.kill();
    return ended;
  };
  return { url, log, build, stop, clean: () => rmSync(folder, { recursive: true }) };
}

test("a line appended to a log reaches the open page, which keeps its zoom and scroll", options, async () => {
  const site = await serve();
  try {
    const page = await open(browser, site.url);
    await drawn(page, "chart-system");
    await page.locator('#link-state[data-state="live"]').waitFor();
    const value = page.locator("#card-operations .value");
    const before = Number(await value.textContent());
    assert.ok(before > 0, "the log was read");

    await page.getByRole("link", { name: "1H", exact: true }).click();
    await zoom(page, "chart-system");
    const zoomed = await shownRange(page, "chart-system");
    await page.evaluate(() => {
      window.sameDocument = true;
      scrollTo({ top: 200, behavior: "instant" });
    });
    const scroll = await page.evaluate(() => scrollY);

    appendFileSync(site.log, record(0) + record(0));
    await page.waitForFunction(
      (count) => Number(document.querySelector("#card-operations .value").textContent) >= count,
      before + 2,
      often,
    );
    assert.equal(await page.evaluate(() => window.sameDocument), true);
    assert.equal(await page.evaluate(() => scrollY), scroll);
    assert.deepEqual(await shownRange(page, "chart-system"), zoomed);
    assert.deepEqual(page.complaints, []);

    await site.stop();
    await page.locator("#link-state", { hasText: "reconnecting…" }).waitFor();
    await page.context().close();
  } finally {
    await site.stop();
    site.clean();
  }
});

test("a page follows what another process builds, within five seconds", options, async () => {
  const site = await serve("--no-build");
  try {
    const page = await open(browser, site.url);
    await page.locator('#link-state[data-state="live"]').waitFor();
    const value = page.locator("#card-operations .value");
    const before = Number(await value.textContent());
    appendFileSync(site.log, record(0) + record(0) + record(0));
    site.build();
    const built = Date.now();
    await page.waitForFunction(
      (count) => Number(document.querySelector("#card-operations .value").textContent) >= count,
      before + 3,
      { ...often, timeout: 5000 },
    );
    assert.ok(Date.now() - built < 5000);
    assert.match(await page.locator("#announcer").textContent(), /^Updated/);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  } finally {
    await site.stop();
    site.clean();
  }
});
