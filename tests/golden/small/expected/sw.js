// The service worker: the last pages that were seen open without a network. Never in the way of newer ones:
// pages come from the network as long as it answers, and only assets, whose names change with their content,
// from what is kept.
"use strict";

const assets = ["assets/archive.HASH.css","assets/icon-app.HASH.svg","assets/icon-critical.HASH.svg","assets/icon-degraded.HASH.svg","assets/icon-healthy.HASH.svg","assets/icon-no-data.HASH.svg","assets/icon-unhealthy.HASH.svg","assets/print.HASH.css","assets/theme.HASH.js","assets/style.HASH.css","assets/script.HASH.js","assets/plotly-basic.min.HASH.js","assets/font.HASH.css","assets/inter.HASH.woff2","assets/icon-180.HASH.png","assets/icon-192.HASH.png","assets/icon-512.HASH.png","assets/licences.HASH.txt"];
const firstPages = ["index.html", "activity.html", "data-quality.html", "snapshot.js"];
const mostPages = 60;

// Other sites of this host have workers of their own.
const scope = self.registration.scope;
const names = { assets: `dash ${scope} assets`, pages: `dash ${scope} pages` };
const inScope = (path) => new URL(path, scope).href;

// One address a page: without query, and with the name of its file.
function keyOf(address) {
  const url = new URL(address);
  const last = url.pathname.split("/").pop();
  const path = last === "" ? `${url.pathname}index.html` : last.includes(".") ? url.pathname : `${url.pathname}.html`;
  return url.origin + path;
}

async function keep(address, answer) {
  // Who may not see the site any longer does not see what was kept of it either.
  if ([401, 403].includes(answer.status)) return caches.delete(names.pages);
  const pages = await caches.open(names.pages);
  const key = keyOf(address);
  if (answer.status === 404) return pages.delete(key);
  if (!answer.ok || answer.redirected) return;
  // The newest last, so that the oldest go first.
  await pages.delete(key);
  await pages.put(key, answer);
  const keys = await pages.keys();
  const extra = keys.filter((request) => !firstPages.map(inScope).includes(request.url));
  for (const request of extra.slice(0, Math.max(0, extra.length - mostPages))) await pages.delete(request);
}

async function fromNetwork(event) {
  const answer = await fetch(event.request);
  event.waitUntil(keep(event.request.url, answer.clone()));
  return answer;
}

async function kept(address) {
  const pages = await caches.open(names.pages);
  return pages.match(keyOf(address));
}

async function page(event) {
  try {
    return await fromNetwork(event);
  } catch {
    return (await kept(event.request.url)) ?? Response.redirect(inScope("index.html"));
  }
}

async function snapshotScript(event) {
  return fromNetwork(event).catch(async () => (await kept(event.request.url)) ?? Response.error());
}

async function asset(request) {
  const cache = await caches.open(names.assets);
  const found = await cache.match(request);
  if (found) return found;
  const answer = await fetch(request);
  if (answer.ok) await cache.put(request, answer.clone());
  return answer;
}

async function install() {
  await (await caches.open(names.assets)).addAll(assets.map(inScope));
  await Promise.all(firstPages.map(inScope).map(async (address) => keep(address, await fetch(address))));
  await self.skipWaiting();
}

// What an older version of the site kept.
async function dropOld() {
  for (const name of await caches.keys()) {
    if (name.startsWith(`dash ${scope} `) && !Object.values(names).includes(name)) await caches.delete(name);
  }
  const cache = await caches.open(names.assets);
  const wanted = assets.map(inScope);
  for (const request of await cache.keys()) {
    if (!wanted.includes(request.url)) await cache.delete(request);
  }
  await self.clients.claim();
}

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(dropOld()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const path = request.url.startsWith(scope) ? request.url.slice(scope.length).split(/[?#]/)[0] : null;
  if (request.method !== "GET" || path === null || path.startsWith("archive/")) return;
  if (request.mode === "navigate") event.respondWith(page(event));
  else if (assets.includes(path)) event.respondWith(asset(request));
  else if (path === "snapshot.js" && request.destination === "script") event.respondWith(snapshotScript(event));
  // What the page's own scripts ask for is news or nothing; a newer page is kept on its way.
  else if (/(^snapshot\.js|\.html|\/|^)$/.test(path)) event.respondWith(fromNetwork(event));
});
