// Puts Plotly's figures in the place of the drawings as they come into view, and keeps the page's one time
// range: in the address, chosen by a link or by dragging over a chart.
"use strict";

dash.charts = (() => {
  // By the element's id: { json, figures, drawn, hidden }. `drawn` tells what of; `hidden` names series.
  const states = new Map();
  const inView = new Set();
  // { label } of a link, or { from, to } in milliseconds.
  let range = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const places = () => document.querySelectorAll(".figure-place");
  const links = () => [...document.querySelectorAll(".ranges [data-range]")];

  const isFields = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

  // What all ranges say, and what one says besides.
  function together(common, own) {
    if (!isFields(common) || !isFields(own)) return own ?? common;
    const fields = { ...common };
    for (const [name, value] of Object.entries(own)) fields[name] = together(common[name], value);
    return fields;
  }

  // Range → figure, from the page's JSON.
  function read(json) {
    const { common, ranges } = JSON.parse(json);
    const figures = Object.entries(ranges).map(([label, own]) => {
      const { data, layout } = together(common, own);
      return [label, { data: Object.values(data ?? {}), layout }];
    });
    return Object.fromEntries(figures);
  }

  function stateOf(element) {
    const json = document.getElementById(element.dataset.figures).textContent;
    const state = states.get(element.id) ?? { hidden: new Set() };
    if (state.json !== json) Object.assign(state, { json, figures: read(json), drawn: null });
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

  // The label whose figure is the finest that reaches back far enough.
  function labelFor(figures) {
    if ("" in figures) return "";
    if (range.label in figures) return range.label;
    const begin = (label) => parse(figures[label].layout.xaxis.range[0]);
    const latestFirst = Object.keys(figures).sort((a, b) => begin(b) - begin(a));
    return latestFirst.find((label) => begin(label) <= range.from) ?? latestFirst.at(-1);
  }

  // A row of a heat map: bars of one height, whose colours tell the counts.
  function warm(trace) {
    trace.marker = { color: [...trace.meta.slice(5)].map((level) => colour(`--heat-${level}`) || "transparent") };
    trace.hovertext = trace.y.map((count) => count.toLocaleString("en"));
    trace.y = trace.y.map((count) => (count > 0 ? 1 : null));
  }

  // Sizes that show a point only where it has no line.
  const lonely = (values) => values.map((value, at) => (value !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null ? 4 : 0));

  function paint(figure) {
    const { layout, data } = figure;
    const painted = (name) => colour(`--${name}`);
    for (const trace of data) {
      if (String(trace.meta).startsWith("heat:")) {
        warm(trace);
        continue;
      }
      const colours = Array.isArray(trace.meta) ? trace.meta.map(painted) : painted(trace.meta);
      if (trace.line) trace.line.color = colours;
      if (trace.marker) trace.marker.color = colours;
      if (trace.mode === "lines+markers") trace.marker.size = lonely(trace.y);
    }
    for (const shape of layout.shapes ?? []) {
      if (shape.name === "gap") shape.fillcolor = colour("--chart-gap");
      else shape.line.color = painted(shape.name);
    }
    layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
    layout.font = { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--chart-text") };
    layout.hoverlabel = {
      bgcolor: colour("--chart-hover"),
      bordercolor: colour("--chart-grid"),
      font: { color: colour("--chart-hover-text") },
    };
    layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: colour("--chart-text"), activecolor: colour("--accent") };
    for (const axis of [layout.xaxis, layout.yaxis, layout.yaxis2]) {
      if (axis) axis.gridcolor = colour("--chart-grid");
    }
  }

  const hasValues = ({ data }) => {
    const numbers = (values) => values?.some((value) => typeof value === "number");
    return data.some((trace) => (trace.orientation === "h" ? numbers(trace.x) : numbers(trace.y)));
  };

  // Where there is no room for all labels below the plot; `charts.css` does the same to drawings.
  const thinned = (labels) => labels.map((label, at) => (at % 2 ? "" : label));

  // The figure of the chosen range, in the colours of the page.
  function prepare(state, narrow) {
    const figure = structuredClone(state.figures[labelFor(state.figures)]);
    const { layout, data } = figure;
    const overTime = layout.xaxis.type === "date";
    paint(figure);
    if (overTime && range.from) {
      layout.xaxis.range = [range.from, range.to].map((ms) => new Date(ms).toISOString());
      delete layout.xaxis.tickvals;
      delete layout.xaxis.ticktext;
    }
    if (narrow && layout.xaxis.ticktext) layout.xaxis.ticktext = thinned(layout.xaxis.ticktext);
    // Fingers scroll the page; buttons, which then always show, zoom.
    layout.dragmode = overTime && !matchMedia("(pointer: coarse)").matches ? "zoom" : false;
    for (const axis of [layout.yaxis, layout.yaxis2]) if (axis) axis.fixedrange = true;
    layout.xaxis.fixedrange = !overTime;
    data.forEach((trace, at) => {
      if (state.hidden.has(at)) trace.visible = false;
    });
    if (!hasValues(figure)) {
      const place = { xref: "paper", yref: "paper", x: 0.5, y: 0.5, showarrow: false, font: { size: 14 } };
      layout.annotations = [{ text: "No operations in this time", ...place }];
    }
    return figure;
  }

  // What the reader sees of a chart, saved; see `save.js`.
  function save(button) {
    const element = document.getElementById(button.closest("[data-of]").dataset.of);
    const { figures, hidden } = stateOf(element);
    const data = figures[labelFor(figures)].data.filter((_, at) => !hidden.has(at));
    button.closest("details").open = false;
    return dash.save(element, button.dataset.save, { data, range });
  }

  function config(overTime) {
    const whole = { name: "whole", title: "Whole range", icon: Plotly.Icons.home, click: leaveZoom };
    return {
      responsive: true,
      displayModeBar: overTime && (matchMedia("(pointer: coarse)").matches || "hover"),
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

  function draw(element) {
    const state = stateOf(element);
    const narrow = element.clientWidth <= 420;
    const key = JSON.stringify([range, narrow, colour("--chart-text"), [...state.hidden]]);
    if (state.drawn === key || element.closest("[hidden]")) return;
    state.drawn = key;
    const figure = prepare(state, narrow);
    const fresh = !element._fullLayout;
    Plotly.react(element, figure.data, figure.layout, config(figure.layout.xaxis.type === "date"));
    if (!fresh) return;
    element.setAttribute("role", "group");
    element.setAttribute("aria-label", element.dataset.label);
    element.on("plotly_relayout", zoomed);
    element.on("plotly_doubleclick", leaveZoom);
  }

  function drawInView() {
    if (!window.Plotly || !range) return;
    for (const element of places()) if (inView.has(element)) draw(element);
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
    drawInView();
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
    for (const element of places()) observer.observe(element);
    setRange();
    press();
  }

  addEventListener("hashchange", setRange);
  addEventListener("load", drawInView);
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
