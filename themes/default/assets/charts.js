// Puts Plotly's figures in the place of the drawings as they come into view, and keeps the page's one time
// range: in the address, chosen by a link or by dragging over a chart.
"use strict";

dash.charts = (() => {
  // By the element's id: { json, chart, drawn, resting, hidden }. `drawn` tells what of, and `resting` for what of
  // the drawing stands; `hidden` names series.
  const states = new Map();
  const inView = new Set();
  // { label } of a link, or { from, to } in milliseconds.
  let range = null;

  const coarse = matchMedia("(pointer: coarse)");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const places = () => document.querySelectorAll(".figure-place");
  const links = () => [...document.querySelectorAll(".ranges [data-range]")];

  function stateOf(element) {
    const json = document.getElementById(element.dataset.of).textContent;
    const state = states.get(element.id) ?? { hidden: new Set() };
    if (state.json !== json) Object.assign(state, { json, chart: JSON.parse(json), drawn: null, resting: null });
    states.set(element.id, state);
    return state;
  }

  // Plotly's times and the address' are UTC; neither has to say so.
  const parse = (time) => Date.parse(/Z$/.test(time) ? time : `${String(time).replace(" ", "T")}Z`);
  const written = (ms) => new Date(ms).toISOString().replace(/(:00)?\.000Z$/, "Z");

  // Some programs escape the slash and the colons of an address that is sent on.
  function unescaped(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return "";
    }
  }

  // `#range=24H`, or `#range=2026-01-25T10:00Z/2026-01-25T12:00Z`.
  function rangeOfAddress() {
    const wanted = unescaped(/^#range=(.+)$/.exec(location.hash)?.[1] ?? "");
    if (links().some((link) => link.dataset.range === wanted)) return { label: wanted };
    const [from, to] = wanted.split("/").map(parse);
    if (to - from >= 1000) return { from, to };
    return { label: document.querySelector(".ranges")?.dataset.chosen ?? "" };
  }

  // The label whose view is the finest that reaches back far enough.
  function labelFor(views) {
    if ("" in views) return "";
    if (range.label in views) return range.label;
    // A distribution has no time of its own: its ranges are those of the charts that have.
    const charts = [...places()].map((place) => stateOf(place).chart.views);
    const begin = (label) => charts.find((views) => views[label]?.time)?.[label].time[0] ?? 0;
    const latestFirst = Object.keys(views).sort((a, b) => begin(b) - begin(a));
    return latestFirst.find((label) => begin(label) <= range.from) ?? latestFirst.at(-1);
  }

  // Where there is no room for all labels below the plot; `charts.css` does the same to drawings.
  const thinned = (labels) => labels.map((label, at) => (at % 2 ? "" : label));

  // The figure of the chosen range.
  function prepare(element, state, narrow) {
    const views = state.chart.views;
    const chosen = labelFor(views);
    const view = [...element.closest(".chart").querySelectorAll(".view")].find((view) => (view.dataset.view ?? "") === chosen);
    const figure = dash.figure(state.chart, views[chosen], view.querySelector("svg"));
    const { layout, data } = figure;
    const overTime = layout.xaxis.type === "date";
    if (overTime && range.from) {
      layout.xaxis.range = [range.from, range.to].map((ms) => new Date(ms).toISOString());
      delete layout.xaxis.tickvals;
      delete layout.xaxis.ticktext;
    }
    if (narrow && layout.xaxis.ticktext) layout.xaxis.ticktext = thinned(layout.xaxis.ticktext);
    // Fingers scroll the page; buttons, which then always show, zoom.
    layout.dragmode = overTime && !coarse.matches ? "zoom" : false;
    for (const axis of [layout.yaxis, layout.yaxis2]) if (axis) axis.fixedrange = true;
    layout.xaxis.fixedrange = !overTime;
    data.forEach((trace, at) => {
      if (state.hidden.has(at)) trace.visible = false;
    });
    if (figure.empty) {
      const place = { xref: "paper", yref: "paper", x: 0.5, y: 0.5, showarrow: false, font: { size: 14 } };
      layout.annotations = [{ text: "No operations in this time", ...place }];
    }
    return figure;
  }

  // What the reader sees of a chart, saved; see `save.js`.
  function save(button) {
    const element = document.getElementById(button.closest("[data-of]").dataset.of);
    const { chart, hidden } = stateOf(element);
    button.closest("details").open = false;
    if (window.Plotly) draw(element);
    return dash.save(element, button.dataset.save, { chart, view: chart.views[labelFor(chart.views)], hidden, range });
  }

  function config(overTime) {
    const whole = { name: "whole", title: "Whole range", icon: Plotly.Icons.home, click: leaveZoom };
    return {
      responsive: true,
      displayModeBar: overTime && (coarse.matches || "hover"),
      displaylogo: false,
      doubleClick: false,
      showTips: false,
      modeBarButtons: [["zoomIn2d", "zoomOut2d"], [whole]],
    };
  }

  // What the reader zoomed to becomes the range of the page.
  function zoomed(change) {
    const [from, to] = [change["xaxis.range[0]"], change["xaxis.range[1]"]].map(parse);
    if (to - from >= 1000) location.hash = `range=${written(Math.round(from / 1000) * 1000)}/${written(Math.round(to / 1000) * 1000)}`;
  }

  function leaveZoom() {
    if (range.from) location.hash = `range=${lastLabel}`;
  }

  let lastLabel = "";

  const isNarrow = (element) => element.clientWidth <= 420;

  // What a figure depends on besides the values.
  const keyOf = (element, { hidden }) => JSON.stringify([range, isNarrow(element), colour("--chart-text"), [...hidden]]);

  function isStale(element) {
    const state = stateOf(element);
    const key = keyOf(element, state);
    return state.drawn !== key && state.resting !== key && !element.closest("[hidden]");
  }

  // Newer values of a chart that nobody is at are shown by the drawing that came with them: that costs a tenth of
  // what Plotly takes, who draws them when a pointer or the keyboard comes. Fingers come without notice, and a
  // drawing knows whole ranges with all series only.
  function rest(element) {
    const state = stateOf(element);
    const attended = coarse.matches || element.closest(".chart").matches(":hover, :focus-within");
    if (state.drawn || !element._fullLayout || attended || range.from || state.hidden.size > 0) return;
    state.resting = keyOf(element, state);
    element.classList.add("resting");
  }

  function wake(target) {
    const element = target.closest?.(".chart")?.querySelector(".figure-place.resting");
    if (!element) return;
    stateOf(element).resting = null;
    draw(element);
  }

  function draw(element) {
    if (!isStale(element)) return;
    const state = stateOf(element);
    const narrow = isNarrow(element);
    state.drawn = keyOf(element, state);
    element.classList.remove("resting");
    const figure = prepare(element, state, narrow);
    const fresh = !element._fullLayout;
    Plotly.react(element, figure.data, figure.layout, config(figure.layout.xaxis.type === "date"));
    if (!fresh) return;
    element.setAttribute("role", "group");
    element.setAttribute("aria-label", element.dataset.label);
    element.on("plotly_relayout", zoomed);
    element.on("plotly_doubleclick", leaveZoom);
  }

  // Whether `drawInView` is at it.
  let drawing = false;

  // One new chart a task, so that the page answers in between; the first in view comes first.
  async function drawInView() {
    if (drawing || !window.Plotly || !range) return;
    drawing = true;
    try {
      for (let next; (next = [...places()].find((element) => inView.has(element) && isStale(element))); ) {
        const fresh = !next._fullLayout;
        draw(next);
        if (fresh) await new Promise((resolve) => setTimeout(resolve));
      }
    } finally {
      drawing = false;
    }
  }

  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) inView.add(target);
      else inView.delete(target);
    }
    drawInView();
  }, { rootMargin: "150px" });

  function setRange() {
    range = rangeOfAddress();
    if (range.label) lastLabel = range.label;
    else lastLabel ||= document.querySelector(".ranges")?.dataset.chosen ?? "";
    for (const link of links()) {
      const chosen = link.dataset.range === range.label;
      link.classList.toggle("chosen", chosen);
      if (chosen) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    carryRange();
  }

  // Links to neighbours keep the range.
  function carryRange() {
    if (!location.hash.startsWith("#range=")) return;
    for (const link of document.querySelectorAll("[data-carries-range]")) link.hash = location.hash;
  }

  function toggle(button) {
    const list = button.closest(".legend");
    const { hidden } = states.get(list.dataset.of) ?? stateOf(document.getElementById(list.dataset.of));
    const at = [...list.querySelectorAll("button")].indexOf(button);
    if (!hidden.delete(at)) hidden.add(at);
    press();
    drawInView();
  }

  function press() {
    for (const list of document.querySelectorAll(".legend")) {
      const hidden = states.get(list.dataset.of)?.hidden;
      list.querySelectorAll("button").forEach((button, at) => {
        button.ariaPressed = String(!hidden?.has(at));
      });
    }
  }

  // For the charts that the page has now.
  function update() {
    setRange();
    for (const element of places()) {
      observer.observe(element);
      rest(element);
    }
    drawInView();
    press();
  }

  addEventListener("hashchange", () => {
    setRange();
    drawInView();
  });
  document.addEventListener("pointerover", ({ target }) => wake(target));
  document.addEventListener("focusin", ({ target }) => wake(target));
  document.addEventListener("DOMContentLoaded", () => {
    // A page in one file carries no Plotly: of its charts only the values can be saved.
    document.documentElement.classList.toggle("no-plotly", !window.Plotly);
    drawInView();
  });
  document.documentElement.addEventListener("dash:theme", drawInView);
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".legend button");
    if (button) toggle(button);
    const saver = event.target.closest?.("[data-save]");
    if (saver) save(saver);
    for (const open of document.querySelectorAll(".save[open]")) if (!open.contains(event.target)) open.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && event.target.closest?.(".save[open]");
    if (!open) return;
    open.open = false;
    open.querySelector("summary").focus();
  });

  return { update };
})();
