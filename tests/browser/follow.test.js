// How a page follows its site, with a host made up for the purpose: `DASH_SITE=<folder> node --test follow.test.js`.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { desktop, drawn, launch, often, open, shownRange, zoom } from "./browser.js";
import { host } from "./host.js";

const folder = process.env.DASH_SITE;
const options = { skip: folder ? false : "`DASH_SITE` names no folder" };

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

// Opens the site as a daemon would serve it, with this test at the other end of the socket.
async function follow(t, replaced) {
  replaced["live.json"] ??= '{"live":true}';
  const { url } = await host(t, folder, replaced);
  const other = { received: [] };
  const page = await open(browser, url, desktop, (page) =>
    page.routeWebSocket(`${url.replace("http", "ws")}ws`, (socket) => {
      other.socket = socket;
      socket.onMessage((text) => other.received.push(JSON.parse(text)));
    }),
  );
  t.after(() => page.context().close());
  await page.locator('#link-state[data-state="live"]').waitFor();
  return { page, other };
}

const read = (name) => readFileSync(path.join(folder, name), "utf8");

// The overview as it might be a moment later: another number on a card.
function later() {
  return read("index.html").replace(/(id="card-operations"[\s\S]*?class="value">)[^<]*/, "$1987,654");
}

function laterSnapshot() {
  return read("snapshot.js").replace(/"id":"[^"]*"/, '"id":"later"');
}

const operations = (page) => page.locator("#card-operations .value").textContent();

test("a page takes in a newer snapshot and keeps what the reader did", options, async (t) => {
  const replaced = {};
  const { page, other } = await follow(t, replaced);
  const hellos = other.received;
  await drawn(page, "chart-system");
  assert.equal(hellos[0].event, "hello");
  assert.equal(hellos[0].snapshot, await page.evaluate(() => window.dashSnapshot.id));

  await zoom(page, "chart-system");
  const zoomed = await shownRange(page, "chart-system");
  await page.locator("#wrapper-table th", { hasText: "Score" }).getByRole("button").click();
  const names = () => page.locator("#wrapper-table tbody tr:visible th").allTextContents();
  await page.getByRole("searchbox").fill("a");
  const shown = await names();
  await page.evaluate(() => {
    window.sameDocument = true;
    scrollTo({ top: 300, behavior: "instant" });
  });
  const scroll = await page.evaluate(() => scrollY);

  Object.assign(replaced, { "index.html": later(), "snapshot.js": laterSnapshot() });
  other.socket.send(JSON.stringify({ event: "refresh", snapshot: "later", changed: ["index.html"] }));
  await page.locator("#card-operations .value", { hasText: "987,654" }).waitFor();
  assert.equal(await page.evaluate(() => window.sameDocument), true);
  assert.equal(await page.evaluate(() => scrollY), scroll);
  assert.deepEqual(await shownRange(page, "chart-system"), zoomed);
  assert.deepEqual(await names(), shown);
  assert.equal(await page.getByRole("searchbox").inputValue(), "a");
  assert.match(await page.locator("#announcer").textContent(), /^Updated/);
  assert.deepEqual(page.complaints, []);

  await other.socket.close();
  await page.locator("#link-state", { hasText: "reconnecting…" }).waitFor();
  await page.locator("#link-state", { hasText: "live" }).waitFor();
  assert.equal(hellos.at(-1).snapshot, "later");
});

test("newer values of a chart are its drawing, until somebody comes to it", options, async (t) => {
  const replaced = {};
  const { page, other } = await follow(t, replaced);
  await drawn(page, "chart-system");
  await page.mouse.move(0, 0);
  const newer = async (id) => {
    const html = later().replace(/(id="data-system">\{)(\s*)/, `$1${" ".repeat(id)}`);
    Object.assign(replaced, { "index.html": html, "snapshot.js": read("snapshot.js").replace(/"id":"[^"]*"/, `"id":"${id}"`) });
    other.socket.send(JSON.stringify({ event: "refresh", snapshot: `${id}`, changed: ["index.html"] }));
    await page.waitForFunction((id) => window.dashSnapshot.id === id, `${id}`, often);
  };
  const chart = page.locator(".chart:has(#chart-system)");
  const shows = async () => [await chart.locator(".views").isVisible(), await page.locator("#chart-system").isVisible()];
  assert.deepEqual(await shows(), [false, true]);
  await newer(1);
  assert.deepEqual(await shows(), [true, false]);
  await chart.hover();
  assert.deepEqual(await shows(), [false, true]);
  await newer(2);
  assert.deepEqual(await shows(), [false, true]);
  assert.deepEqual(page.complaints, []);
});

test("a page without operations comes to life", options, async (t) => {
  const full = read("index.html");
  const empty = full.replace(/<main[\s\S]*<\/main>/, '<main class="container-xxl" id="main"><p>Nothing yet</p></main>');
  const replaced = { "index.html": empty };
  replaced["live.json"] = "{}";
  const page = await open(browser, (await host(t, folder, replaced)).url);
  t.after(() => page.context().close());
  await page.waitForLoadState("networkidle");
  Object.assign(replaced, { "index.html": full, "snapshot.js": laterSnapshot() });
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await drawn(page, "chart-system");
  const header = page.locator("#wrapper-table th", { hasText: "Score" });
  await header.getByRole("button").click();
  assert.equal(await header.getAttribute("aria-sort"), "descending");
  assert.deepEqual(page.complaints, []);
});

test("a page that did not change takes only the times", options, async (t) => {
  const replaced = {};
  const { page, other } = await follow(t, replaced);
  const before = await operations(page);
  const newer = read("snapshot.js")
    .replace(/"id":"[^"]*"/, '"id":"later"')
    .replace(/"generated_at":"[^"]*"/, '"generated_at":"2031-05-06T07:08:09Z"');
  Object.assign(replaced, { "index.html": later(), "snapshot.js": newer });
  other.socket.send(JSON.stringify({ event: "refresh", snapshot: "later", changed: ["wrappers/other.html"] }));
  await page.locator("#freshness", { hasText: "2031-05-06 07:08 UTC" }).waitFor();
  assert.equal(await operations(page), before);
});

test("on a plain file host the page looks for itself", options, async (t) => {
  const replaced = {};
  const page = await open(browser, (await host(t, folder, replaced)).url);
  t.after(() => page.context().close());
  await page.waitForLoadState("networkidle");
  assert.equal(await page.locator("#link-state").textContent(), "looks every 1 min");
  Object.assign(replaced, { "index.html": later(), "snapshot.js": laterSnapshot() });
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await page.locator("#card-operations .value", { hasText: "987,654" }).waitFor();
  assert.deepEqual(page.complaints, []);
});

test("a page that cannot be brought up to date is loaded anew", options, async (t) => {
  const replaced = {};
  const { page, other } = await follow(t, replaced);
  await page.evaluate(() => {
    window.sameDocument = true;
    dash.morph = () => {
      throw new Error("made up");
    };
  });
  Object.assign(replaced, { "index.html": later(), "snapshot.js": laterSnapshot() });
  other.socket.send(JSON.stringify({ event: "refresh", snapshot: "later", changed: ["index.html"] }));
  await page.locator("#card-operations .value", { hasText: "987,654" }).waitFor();
  assert.equal(await page.evaluate(() => window.sameDocument), undefined);
  assert.equal(page.complaints.length, 1);
  assert.match(page.complaints[0], /could not be brought up to date/);
});

test("title and icon tell a tab in the background of trouble, and of a lost link", options, async (t) => {
  const fine = read("index.html").replace(/<title>[^<]*/, "<title>dash").replace(/icon-[a-z-]+(\.\w+\.svg" data-lost)/, "icon-healthy$1");
  const replaced = { "index.html": fine };
  const { page, other } = await follow(t, replaced);
  const icon = () => page.evaluate(() => document.getElementById("site-icon").getAttribute("href"));
  assert.match(await icon(), /icon-healthy/);
  const bad = fine.replace("<title>", "<title>⚠ 2 · ").replace('assets/icon-healthy', 'assets/icon-critical');
  Object.assign(replaced, { "index.html": bad, "snapshot.js": laterSnapshot() });
  other.socket.send(JSON.stringify({ event: "refresh", snapshot: "later", changed: ["index.html"] }));
  await page.waitForFunction(() => document.title === "⚠ 2 · dash", null, often);
  assert.match(await icon(), /icon-critical/);
  replaced["live.json"] = '{"live":false}';
  await other.socket.close();
  await page.waitForFunction(() => document.title === "⏸ ⚠ 2 · dash", null, often);
  assert.match(await icon(), /icon-no-data/);
  replaced["live.json"] = '{"live":true}';
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await page.waitForFunction(() => document.title === "⚠ 2 · dash", null, often);
  assert.match(await icon(), /icon-critical/);
});

test("strange frames are passed over", options, async (t) => {
  const { page, other } = await follow(t, {});
  for (const frame of ["", "not JSON", "null", "[]", '{"event":"other"}']) other.socket.send(frame);
  other.socket.send(JSON.stringify({ event: "refresh", snapshot: "x", changed: null }));
  await page.waitForLoadState("networkidle");
  assert.deepEqual(page.complaints, []);
});

test("where there are users, a page says who is signed in and where to", options, async (t) => {
  const marks = [
    [{}, null],
    [{ users: true }, "Sign in"],
    [{ users: true, user: "<b>ana" }, "<b>ana"],
  ];
  for (const [mark, shown] of marks) {
    const { page } = await follow(t, { "live.json": JSON.stringify({ live: true, ...mark }) });
    const account = page.locator("#account");
    assert.equal(await account.isVisible(), shown !== null);
    if (!shown) continue;
    assert.equal(await account.innerText(), shown);
    assert.match(await account.evaluate((link) => link.href), /\/team\/sign-in$/);
    assert.deepEqual(page.complaints, []);
  }
});
