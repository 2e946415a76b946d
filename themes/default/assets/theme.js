// What has to be known before anything is drawn: light or dark, and whether the typeface is there.
"use strict";
window.dash = {};

// Nothing waits for the typeface, and a page that stands does not change its letters: where it comes late, this
// page has the system's, and the next one finds it kept by the browser.
(() => {
  const face = new FontFace("Inter", `url("${document.documentElement.dataset.font}")`, { weight: "100 900" });
  let drawn = false;
  requestAnimationFrame(() => {
    drawn = true;
  });
  face.load().then(
    () => drawn || document.fonts.add(face),
    () => {},
  );
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
    return choice;
  }

  page.classList.add("js");
  system.addEventListener("change", apply);
  apply();
  return { next, current: () => choice };
})();
