// Times beside how long ago that was. The page itself has them in full, in UTC.
"use strict";

dash.time = (() => {
  const replaced = ".event-time time, .detail time, #wrapper-table time, #source-table time";
  // What has to be added to this device's clock, in milliseconds: it may be wrong, and the host's is not.
  let ahead = 0;
  const now = () => Date.now() + ahead;

  function setClock(date) {
    const told = Date.parse(date ?? "");
    // Less than a minute is the time that the answer took.
    if (!Number.isNaN(told)) ahead = Math.abs(told - Date.now()) > 60000 ? told - Date.now() : 0;
  }

  function full(date) {
    return `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
  }

  // Today's times without their date and with how long ago that was: never longer than the others.
  function brief(date) {
    const today = new Date(now()).toISOString().slice(0, 10);
    const words = full(date).startsWith(today) && ago(date);
    return words ? `${full(date).slice(11)}, ${words}` : full(date);
  }

  // In words, or nothing where the full time says it better.
  function ago(date) {
    const seconds = (now() - date.getTime()) / 1000;
    if (seconds < -60 || seconds > 14 * 86400) return null;
    if (seconds < 60) return "just now";
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
    if (seconds < 2 * 86400) return `${Math.floor(seconds / 3600)} h ago`;
    return `${Math.floor(seconds / 86400)} days ago`;
  }

  // Shows times below `parent` as they are now.
  function show(parent) {
    for (const element of parent.querySelectorAll(replaced)) {
      const date = new Date(element.dateTime);
      element.title = full(date);
      element.textContent = ago(date) ?? full(date);
    }
    for (const element of parent.querySelectorAll("[data-stamp] time")) {
      const date = new Date(element.dateTime);
      element.title = full(date);
      element.textContent = brief(date);
    }
    showAge();
  }

  // A page that has stood for long says so where it was not built old already; what was kept is meant to be.
  function showAge() {
    const verdict = document.getElementById("verdict");
    const last = document.querySelector('[data-stamp="last_data"]');
    const newest = Date.parse(last?.querySelector("time")?.dateTime ?? "");
    const most = Number(verdict?.dataset.staleMinutes ?? 0) * 60000;
    const old = most > 0 && now() - newest >= most && !document.getElementById("kept");
    last?.classList.toggle("stale", old);
    verdict?.querySelector(".verdict-symbol").classList.toggle("status-stale", old || "stale" in verdict.dataset);
  }

  // Puts the snapshot's own times where a page shows them.
  function stamp(parent, snapshot) {
    for (const element of parent.querySelectorAll("[data-stamp]")) {
      const value = snapshot?.[element.dataset.stamp];
      if (!value) continue;
      const time = document.createElement("time");
      time.dateTime = value;
      element.replaceChildren(time);
    }
  }

  return { show, stamp, full, setClock };
})();
