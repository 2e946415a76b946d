// A site of what nobody would write into a log, and a browser that is set up strangely:
// `DASH_BIN=<the program> node --test strange.test.js`.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { drawn, launch, open, phone, tablet } from "./browser.js";

const program = process.env.DASH_BIN;
const options = { skip: program ? false : "`DASH_BIN` names no program", timeout: 120000 };
// The night in which New York put its clocks back: an hour that comes twice there.
const moment = "2026-11-01T07:30:00Z";
const attack = '"><img src=x onerror="hacked=1"><script>hacked=1</script><b style="position:fixed">';

function record(wrapper_name, minutesAgo, more = {}) {
  const end_time = new Date(Date.parse(moment) - minutesAgo * 60000).toISOString();
  return { wrapper_name, end_time, duration_ms: 500, status: "success", ...more };
}

function records() {
  const everywhere = { operation_id: attack, operation_type: attack, model: attack, error_code: attack };
  const all = [
    record("One point", 5),
    record("n".repeat(200), 1, { model: "m".repeat(200) }),
    record("مُغلِّف \u202eعربي", 2, { model: "نموذج" }),
    record("👩‍👩‍👧‍👦🏳️‍🌈 é ﷽", 3),
    record(attack, 4, everywhere),
    record("\u0000\u0007 \t", 4),
    record("All zero", 6, { duration_ms: 0, cost_estimate: 0, total_tokens: 0 }),
    record("Huge", 6, { duration_ms: 1e12, cost_estimate: 1e12, total_tokens: 1e12 }),
    record("Long ago", 60 * 24 * 20),
  ];
  for (let minute = 0; minute < 90; minute += 1) {
    const error_message = minute % 2 ? attack : "w".repeat(5000);
    all.push(record("Never succeeded", minute, { status: "error", error_message, error_code: minute % 3 ? attack : "" }));
    all.push(record("Steady", minute));
  }
  return all;
}

let browser;
let folder;
before(async () => {
  browser = await launch();
  folder = mkdtempSync(path.join(tmpdir(), "dash-strange-"));
  if (!program) return;
  execFileSync(program, ["init", folder], { stdio: "ignore" });
  const lines = records().map((entry) => JSON.stringify(entry)).concat(["not JSON <b>", attack]);
  writeFileSync(path.join(folder, "content/operations/strange.jsonl"), `${lines.join("\n")}\n`);
  const config = path.join(folder, "dash.toml");
  writeFileSync(config, `[site]\ntitle = ${JSON.stringify(attack)}\ncurrency = ${JSON.stringify(attack)}\n`);
  execFileSync(program, ["build", "--config", config, "--now", moment], { stdio: "ignore" });
});
after(async () => {
  await browser.close();
  rmSync(folder, { recursive: true });
});

const strangers = [
  { name: "a phone", set: phone, clock: moment, wrappers: 11 },
  { name: "a desktop in a place with two times, years behind", set: { timezoneId: "America/New_York" }, clock: "2019-03-10T06:59:00Z", wrappers: 3 },
  { name: "a tablet in a place without such a night, in the dark, years ahead", set: { ...tablet, colorScheme: "dark", timezoneId: "Asia/Kathmandu" }, clock: "2031-07-01T12:00:00Z", wrappers: 3 },
];

for (const { name, set, clock, wrappers } of strangers) {
  test(`strange names and values do no harm on ${name}`, options, async (t) => {
    const output = path.join(folder, "output");
    const pages = readdirSync(path.join(output, "wrappers")).map((file) => `wrappers/${file}`);
    assert.equal(pages.length, 11);
    for (const file of ["index.html", "activity.html", "data-quality.html", ...pages.slice(0, wrappers)]) {
      const page = await open(browser, pathToFileURL(path.join(output, file)).href, set, (page) =>
        page.clock.setFixedTime(clock),
      );
      t.after(() => page.context().close());
      const charts = await page.locator(".chart-frame:not([hidden]) .figure-place").all();
      for (const chart of charts) await drawn(page, await chart.getAttribute("id"));
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wider <= 0, `${file} is ${wider} px wider than the window`);
      assert.equal(await page.evaluate(() => typeof hacked), "undefined", file);
      assert.deepEqual(page.complaints, [], file);
      const shown = await page.locator("body").innerText();
      assert.doesNotMatch(shown, /NaN|undefined|Infinity|-\d+ (min|h) ago/, file);
      await page.context().close();
    }
  });
}

test("what never succeeded says so, and what was silent has no score", options, async (t) => {
  const page = await open(browser, pathToFileURL(path.join(folder, "output/index.html")).href);
  t.after(() => page.context().close());
  const row = (name) => page.locator("#wrapper-table tbody tr", { has: page.getByText(name, { exact: true }) });
  assert.match(await row("Never succeeded").innerText(), /Critical\s+0\s%\s+0\s%/);
  assert.match(await row("Long ago").innerText(), /No data\s+–\s+–/);
  assert.match(await row("Steady").innerText(), /Healthy\s+100\s%/);
});
