// Sets the page going, and brings newer content into it.
"use strict";

// Makes `#main` like `incoming` where they differ. What the reader did stays: order and search of tables,
// opened details, focus, scroll; elements marked `data-keep` are the scripts' own.
dash.morph = (incoming) => {
  dash.tables.apply(incoming);
  dash.time.show(incoming);
  Idiomorph.morph(document.getElementById("main"), incoming, {
    morphStyle: "outerHTML",
    ignoreActiveValue: true,
    callbacks: {
      beforeNodeMorphed: (node) => !(node instanceof HTMLElement && "keep" in node.dataset),
      beforeAttributeUpdated: (name, node) => !(name === "open" && node instanceof HTMLDetailsElement),
    },
  });
};

// After anything that the page shows has changed.
dash.update = () => {
  const main = document.getElementById("main");
  dash.time.stamp(main, window.dashSnapshot);
  dash.time.show(main);
  dash.tables.adopt();
  dash.charts.update();
};

(() => {
  const menu = document.getElementById("menu-button");
  menu.addEventListener("click", () => {
    menu.ariaExpanded = String(menu.ariaExpanded !== "true");
  });

  const colours = { auto: "as the system", light: "light", dark: "dark" };
  const button = document.getElementById("theme-button");
  const label = document.getElementById("theme-label");
  const say = () => {
    button.title = label.textContent = `Colours: ${colours[document.documentElement.dataset.themeChoice ?? "auto"]}`;
  };
  button.addEventListener("click", () => dash.theme.next());
  document.documentElement.addEventListener("dash:theme", say);
  say();

  // The page as it came is drawn first.
  const start = () => {
    dash.update();
    setInterval(() => dash.time.show(document.getElementById("main")), 30000);
    dash.live.start();
  };
  if (document.hidden) start();
  else requestAnimationFrame(() => setTimeout(start));

  // A printed page shows what the reader could have opened.
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details:not([open])")) {
      details.open = true;
      addEventListener("afterprint", () => (details.open = false), { once: true });
    }
  });

  // The last pages open without a network. A snapshot that was kept or mailed does not change, and is no site
  // of its own.
  const installable = document.querySelector('link[rel="manifest"]') && !document.getElementById("kept");
  if (installable && navigator.serviceWorker && location.protocol.startsWith("http")) {
    const worker = new URL(`${document.documentElement.dataset.root}sw.js`, document.baseURI);
    const register = () =>
      navigator.serviceWorker.register(worker).catch((error) => console.warn("nothing is kept for later:", error));
    // It compiles what it keeps, beside the page's own drawing.
    if (document.readyState === "complete") register();
    else addEventListener("load", register);
  }
})();
