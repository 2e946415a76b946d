// The pictures in the README, from sample operations of a fixed moment: `node docs/screenshots.mjs [PROGRAM]`.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { desktop, launch, open, phone } from "../tests/browser/browser.js";

const docs = path.dirname(fileURLToPath(import.meta.url));
const program = process.argv[2] ?? path.join(docs, "../target/release/dash");
const moment = "2026-01-26T15:20:00Z";

const pictures = [
  { name: "overview", page: "index.html", set: { ...desktop, colorScheme: "light" } },
  { name: "overview-dark", page: "index.html", set: { ...desktop, colorScheme: "dark" } },
  { name: "wrapper", page: "wrappers/vector-search.html", set: { ...desktop, colorScheme: "light" } },
  { name: "phone", page: "index.html", set: { ...phone, colorScheme: "dark", deviceScaleFactor: 2 } },
];

const site = mkdtempSync(path.join(tmpdir(), "dash-pictures-"));
const browser = await launch();
try {
  const dash = (...words) => execFileSync(program, words, { stdio: "ignore" });
  dash("init", site);
  dash("sample", "--seed", "4", "--now", moment, "--to", path.join(site, "content/operations/sample.jsonl"));
  dash("build", "--config", path.join(site, "dash.toml"), "--now", moment);
  for (const { name, page: file, set } of pictures) {
    const address = pathToFileURL(path.join(site, "output", file)).href;
    // A minute later, as a reader would see it.
    const soon = new Date(Date.parse(moment) + 60000);
    const page = await open(browser, address, set, (page) => page.clock.setFixedTime(soon));
    await page.waitForFunction(() => document.querySelector('[id^="chart-"]')?._fullLayout, null, { polling: 50 });
    await page.screenshot({ path: path.join(docs, `${name}.png`) });
    await page.context().close();
  }
} finally {
  await browser.close();
  rmSync(site, { recursive: true });
}
