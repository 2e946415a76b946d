// Puts Plotly's figures in the place of the drawings as they come into view, and keeps the page's one time
// range: in the address, chosen by a link or by dragging over a chart.
"use strict";

dash.charts = (() => {
  // By the element's id: { json, chart, drawn, hidden }. `drawn` tells what of; `hidden` names series.
  const states = new Map();
  const inView = new Set();
  // { label } of a link, or { from, to } in milliseconds.
  let range = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const places = () => document.querySelectorAll(".figure-place");
  const links = () => [...document.querySelectorAll(".ranges [data-range]")];

  function stateOf(element) {
    const json = document.getElementById(element.dataset.of).textContent;
    const state = states.get(element.id) ?? { hidden: new Set() };
    if (state.json !== json) Object.assign(state, { json, chart: JSON.parse(json), drawn: null });
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
    layout.dragmode = overTime && !matchMedia("(pointer: coarse)").matches ? "zoom" : false;
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

  function save(element, format) {
    const title = document.title.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60);
    const layout = { ...element.layout, paper_bgcolor: colour("--panel"), plot_bgcolor: colour("--panel") };
    const filename = `${title}-${element.id.replace("chart-", "")}`;
    const { width, height } = element._fullLayout;
    Plotly.downloadImage({ data: element.data, layout }, { format, filename, width, height, scale: format === "png" ? 2 : 1 });
  }

  function config(overTime) {
    const { camera, disk, home } = Plotly.Icons;
    const savers = [
      { name: "png", title: "Download as PNG", icon: camera, click: (element) => save(element, "png") },
      { name: "svg", title: "Download as SVG", icon: disk, click: (element) => save(element, "svg") },
    ];
    const whole = { name: "whole", title: "Whole range", icon: home, click: leaveZoom };
    return {
      responsive: true,
      displayModeBar: matchMedia("(pointer: coarse)").matches || "hover",
      displaylogo: false,
      doubleClick: false,
      showTips: false,
      modeBarButtons: overTime ? [savers, ["zoomIn2d", "zoomOut2d"], [whole]] : [savers],
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
    const figure = prepare(element, state, narrow);
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
  });

  return { update };
})();
