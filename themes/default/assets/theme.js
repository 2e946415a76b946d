// What has to be known before anything is drawn: light or dark, and whether the typeface is there. The page is read
// meanwhile, and drawn after; browsers that do not know `blocking` have it sooner than the larger style sheet.
"use strict";
window.dash ??= {};

// A page that stands does not change its letters: only where the way to the host is short, or taken before, is there a
// moment's wait for the typeface. Elsewhere this page has the system's, and the next one finds it kept by the browser.
(() => {
  const page = document.documentElement;
  const face = new FontFace("Inter", `url("${page.dataset.font}")`, { weight: "100 900" });
  const [way] = performance.getEntriesByName(document.currentScript.src);
  if (way?.duration > 30) {
    requestAnimationFrame(() => setTimeout(() => face.load().catch(() => {})));
    return;
  }
  let drawn = false;
  const draw = () => {
    drawn = true;
    page.classList.remove("waits");
  };
  page.classList.add("waits");
  setTimeout(draw, 250);
  face.load().then(() => {
    if (!drawn) document.fonts.add(face);
    draw();
  }, draw);
})();

// Light or dark: as the system has it, or as the reader chose.

dash.theme = (() => {
  const page = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const choices = ["auto", "light", "dark"];
  let choice = "auto";
  try {
    const kept = localStorage.getItem("dash-theme");
    if (choices.includes(kept)) choice = kept;
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
  }

  function apply() {
    const dark = choice === "dark" || (choice === "auto" && system.matches);
    page.dataset.bsTheme = dark ? "dark" : "light";
    page.dataset.themeChoice = choice;
    page.dispatchEvent(new Event("dash:theme"));
  }

  function next() {
    choice = choices[(choices.indexOf(choice) + 1) % choices.length];
    try {
      localStorage.setItem("dash-theme", choice);
    } catch {
      // As above.
    }
    apply();
  }

  page.classList.add("js");
  system.addEventListener("change", apply);
  apply();
  return { next };
})();
