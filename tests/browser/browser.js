// A browser whose pages may not fail in silence: whatever reaches the console as an error, and whatever asks
// another host, is written down in `page.complaints`.
import { chromium } from "playwright-core";

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";

export const desktop = { viewport: { width: 1280, height: 900 } };
export const tablet = { viewport: { width: 820, height: 1180 }, hasTouch: true, isMobile: true };
export const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

// How to wait for a function: by the clock, since a page on which nothing moves may draw no frames.
export const often = { polling: 50 };

export function launch() {
  const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];
  args.push("--disable-background-networking", "--disable-component-update", "--disable-sync");
  return chromium.launch({ executablePath, args });
}

// `prepare` sees the page before it goes anywhere.
export async function open(browser, url, options = desktop, prepare = () => {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(`uncaught: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") page.complaints.push(`console: ${message.text()}`);
  });
  const home = new URL(url);
  page.on("request", (request) => {
    const asked = new URL(request.url());
    const inside = ["data:", "blob:"].includes(asked.protocol);
    if (!inside && (asked.protocol !== home.protocol || asked.host !== home.host)) {
      page.complaints.push(`asked ${asked}`);
    }
  });
  await prepare(page);
  await page.goto(url);
  return page;
}

// The x range that a chart shows, in milliseconds.
export function shownRange(page, chart) {
  return page.evaluate((id) => {
    const range = document.getElementById(id)._fullLayout.xaxis.range;
    return range.map((at) => (typeof at === "number" ? at : Date.parse(`${at.replace(" ", "T").replace("Z", "")}Z`)));
  }, chart);
}

// Brings a chart into view and waits for Plotly to have taken it over.
export async function drawn(page, chart) {
  await page.waitForFunction((id) => document.getElementById(id), chart, often);
  await page.evaluate((id) => document.getElementById(id).scrollIntoView({ block: "center", behavior: "instant" }), chart);
  await page.waitForFunction((id) => document.getElementById(id)?._fullLayout?.xaxis?.range, chart, often);
}

// Drags over the middle of a chart, which zooms into it.
export async function zoom(page, chart) {
  const area = page.locator(`#${chart} .nsewdrag`).first();
  await area.scrollIntoViewIfNeeded();
  const box = await area.boundingBox();
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * 0.3, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, y, { steps: 6 });
  await page.mouse.up();
}
