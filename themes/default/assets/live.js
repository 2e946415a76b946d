// Follows the site: by WebSocket where the daemon serves it, else by looking at `snapshot.js` now and then.
"use strict";

dash.live = (() => {
  const page = document.documentElement;
  const root = new URL(page.dataset.root, document.baseURI);
  const refreshSeconds = Number(page.dataset.refreshSeconds);
  const mostDelay = 30000;
  let delay = 1000;
  // Refreshes run one after the other.
  let running = Promise.resolve();

  const words = { live: "live", reconnecting: "reconnecting…", static: "static" };

  function setState(state) {
    const element = document.getElementById("link-state");
    if (!element) return;
    element.dataset.state = state;
    element.textContent = words[state];
  }

  async function read(path) {
    const answer = await fetch(new URL(path, root), { cache: "no-cache" });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer.text();
  }

  // The values that `snapshot.js` would set, without running it.
  function parseSnapshot(script) {
    const json = /^\s*window\.dashSnapshot\s*=\s*(\{.*\})\s*;?\s*$/s.exec(script)?.[1];
    return json ? JSON.parse(json) : null;
  }

  function isThisPage(path) {
    const here = decodeURIComponent(location.pathname.slice(root.pathname.length));
    return [here, `${here}index.html`, `${here}.html`].includes(path);
  }

  const assetsOf = (tree) => [...tree.head.querySelectorAll("script[src], link[href]")].map(
    (element) => element.getAttribute("src") ?? element.getAttribute("href"),
  );

  async function fetchPage() {
    const answer = await fetch(location.href.split("#")[0], { cache: "no-cache" });
    // The wrapper may be gone; what is on the screen is then the last that is known of it.
    if (!answer.ok) return;
    const tree = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (String(assetsOf(tree)) !== String(assetsOf(document))) {
      location.reload();
      return;
    }
    try {
      dash.morph(tree.getElementById("main"));
    } catch (error) {
      console.error("the page is loaded anew, for it could not be brought up to date:", error);
      location.reload();
      return;
    }
    document.title = tree.title;
  }

  async function refresh(changed) {
    const snapshot = parseSnapshot(await read("snapshot.js"));
    if (!snapshot) return;
    // The snapshot just read may be newer than the one that was told of, and its changes are told of next.
    const named = changed?.some(isThisPage);
    if (!named && snapshot.id === window.dashSnapshot?.id) return;
    if (named || !changed?.length) await fetchPage();
    window.dashSnapshot = snapshot;
    dash.update();
    const newest = snapshot.last_data ? `data up to ${dash.time.full(new Date(snapshot.last_data))}` : "no data yet";
    document.getElementById("announcer").textContent = `Updated, ${newest}`;
  }

  function refreshSoon(changed) {
    running = running.then(() => refresh(changed)).catch((error) => {
      // The next refresh, or the next connection's hello, brings what this one missed.
      console.warn("a refresh was missed:", error);
    });
    return running;
  }

  // What the daemon wants every reader to know, above the page; without a message it goes away.
  function setNotice(message) {
    const standing = document.getElementById("notice");
    if (!message) {
      standing?.remove();
      return;
    }
    const notice = standing ?? document.createElement("p");
    notice.id = "notice";
    notice.className = "alert alert-warning rounded-0 mb-0";
    notice.setAttribute("role", "status");
    notice.textContent = message;
    if (!standing) document.getElementById("main").before(notice);
  }

  function receive(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (message?.event === "refresh") refreshSoon(message.changed);
    if (message?.event === "notice") setNotice(message.message);
  }

  function connect() {
    const address = new URL("ws", root);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    socket.addEventListener("open", () => {
      delay = 1000;
      setNotice(null);
      socket.send(JSON.stringify({ event: "hello", snapshot: window.dashSnapshot?.id ?? "" }));
      setState("live");
    });
    socket.addEventListener("message", (event) => receive(event.data));
    socket.addEventListener("close", reconnect);
  }

  function reconnect() {
    setState("reconnecting");
    setTimeout(async () => {
      delay = Math.min(delay * 2, mostDelay);
      if (await answers().catch(() => false)) connect();
      else reconnect();
    }, delay);
  }

  // A plain file host serves the file that was built, which says `false`: asking for the socket there would
  // only put an error into the console.
  async function answers() {
    return JSON.parse(await read("live.json")).live === true;
  }

  function poll() {
    setState("static");
    if (!refreshSeconds) return;
    const look = () => document.hidden || refreshSoon();
    setInterval(look, refreshSeconds * 1000);
    document.addEventListener("visibilitychange", look);
  }

  async function start() {
    if (!location.protocol.startsWith("http")) return;
    if (await answers().catch(() => false)) connect();
    else poll();
  }

  return { start };
})();
