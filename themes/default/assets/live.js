// Follows the site: by WebSocket where the daemon serves it, else by looking at `snapshot.js` now and then.
"use strict";

dash.live = (() => {
  const page = document.documentElement;
  const root = new URL(page.dataset.root, document.baseURI);
  const refreshSeconds = Number(page.dataset.refreshSeconds);
  const leastDelay = 1000;
  const mostDelay = 30000;
  let delay = leastDelay;
  let socket = null;
  // Ends a wait for the next attempt early.
  let hurry = () => {};
  // Refreshes run one after the other.
  let running = Promise.resolve();

  const every = refreshSeconds % 60 === 0 ? `${refreshSeconds / 60} min` : `${refreshSeconds} s`;
  const words = {
    live: "live",
    reconnecting: "reconnecting…",
    watching: `looks every ${every}`,
    static: "static",
    offline: "offline",
  };

  function setState(state) {
    const element = document.getElementById("link-state");
    if (!element) return;
    element.dataset.state = state;
    element.textContent = words[state];
  }

  // A tab in the background shows by its title and icon that what it shows may be old.
  function setLost(lost) {
    const icon = document.getElementById("site-icon");
    const mark = "⏸ ";
    const title = document.title.startsWith(mark) ? document.title.slice(mark.length) : document.title;
    document.title = lost ? mark + title : title;
    icon.dataset.found ??= icon.getAttribute("href");
    icon.setAttribute("href", lost ? icon.dataset.lost : icon.dataset.found);
  }

  async function read(path) {
    const answer = await fetch(new URL(path, root), { cache: "no-cache" });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    dash.time.setClock(answer.headers.get("date"));
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

  // What the page is drawn with, but for what it has no use for, having scripts. The icon changes with the status.
  const assetsOf = (tree) => [...tree.head.querySelectorAll("script[src], link[rel=stylesheet]:not(noscript *)")].map(
    (element) => element.getAttribute("src") ?? element.getAttribute("href"),
  );

  function takeOver(tree) {
    dash.morph(tree.getElementById("main"));
    document.title = tree.title;
    const icon = document.getElementById("site-icon");
    icon.dataset.found = tree.getElementById("site-icon").getAttribute("href");
    icon.setAttribute("href", icon.dataset.found);
  }

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
      takeOver(tree);
    } catch (error) {
      console.error("the page is loaded anew, for it could not be brought up to date:", error);
      location.reload();
    }
  }

  const heading = () => document.querySelector("h1")?.textContent.trim();

  function announce(snapshot, before) {
    const newest = snapshot.last_data ? `data up to ${dash.time.full(new Date(snapshot.last_data))}` : "no data yet";
    const news = heading() === before ? "" : `. ${heading()}`;
    document.getElementById("announcer").textContent = `Updated, ${newest}${news}`;
  }

  async function refresh(changed) {
    const snapshot = parseSnapshot(await read("snapshot.js"));
    if (!snapshot) return;
    // The snapshot just read may be newer than the one that was told of, and its changes are told of next.
    const named = changed?.some(isThisPage);
    if (!named && snapshot.id === window.dashSnapshot?.id) return;
    const before = heading();
    if (named || !changed?.length) await fetchPage();
    window.dashSnapshot = snapshot;
    dash.update();
    announce(snapshot, before);
  }

  function refreshSoon(changed) {
    const next = running.then(() => refresh(changed));
    running = next.catch((error) => {
      // The next refresh, or the next connection's hello, brings what this one missed.
      console.warn("a refresh was missed:", error);
    });
    return next;
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
    if (message?.event === "refresh") refreshSoon(message.changed).catch(() => {});
    if (message?.event === "notice") setNotice(message.message);
  }

  // The answer to a hello with an older id is what was missed.
  const hello = () => socket.send(JSON.stringify({ event: "hello", snapshot: window.dashSnapshot?.id ?? "" }));

  function connect() {
    const address = new URL("ws", root);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    socket = new WebSocket(address);
    socket.addEventListener("open", () => {
      delay = leastDelay;
      setNotice(null);
      hello();
      setState("live");
      setLost(false);
    });
    socket.addEventListener("message", (event) => receive(event.data));
    socket.addEventListener("close", reconnect);
  }

  // Ever later, and not all readers at once.
  async function reconnect() {
    setState("reconnecting");
    do {
      const wait = delay * (0.5 + Math.random() / 2);
      await new Promise((resolve) => {
        hurry = resolve;
        setTimeout(resolve, wait);
      });
      delay = Math.min(delay * 2, mostDelay);
      if (delay > 2 * leastDelay) setLost(true);
    } while (!(await answers().catch(() => false)));
    connect();
  }

  // A plain file host serves the file that was built, which says `false`: asking for the socket there would
  // only put an error into the console.
  async function answers() {
    const mark = JSON.parse(await read("live.json"));
    setAccount(mark);
    return mark.live === true;
  }

  // Who is signed in, and the way in and out, where the daemon knows users.
  function setAccount({ users, user }) {
    const account = document.getElementById("account");
    account.hidden = !users;
    account.href = new URL("sign-in", root);
    account.textContent = user ?? "Sign in";
    if (user) account.title = `Signed in as ${user}`;
  }

  // A device that slept, or was without a network, does not wait for its turn. A socket may have died
  // meanwhile without anyone having told: writing to it finds out.
  function wake() {
    if (document.hidden || !socket) return;
    delay = leastDelay;
    hurry();
    if (socket.readyState === WebSocket.OPEN) hello();
  }

  async function look() {
    if (document.hidden) return;
    try {
      await refreshSoon();
      setState("watching");
      setLost(false);
    } catch {
      setState("offline");
      setLost(true);
    }
  }

  function poll(state) {
    if (!refreshSeconds) return setState("static");
    setState(state);
    setInterval(look, refreshSeconds * 1000);
    document.addEventListener("visibilitychange", look);
    addEventListener("online", look);
  }

  async function start() {
    if (!location.protocol.startsWith("http")) return;
    try {
      if (!(await answers())) return poll("watching");
    } catch (error) {
      // Without an answer at all this page came from what the browser kept.
      return poll(error instanceof TypeError ? "offline" : "watching");
    }
    document.addEventListener("visibilitychange", wake);
    addEventListener("online", wake);
    connect();
  }

  return { start };
})();
