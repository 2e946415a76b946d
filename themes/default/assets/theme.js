// Light or dark, before anything is drawn: as the system has it, or as the reader chose.
"use strict";
window.dash = {};

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
