// Draws the figures that the page carries: in its colours and size, over the chosen range, with the
// reader's zoom kept when new figures come in.
"use strict";

dash.charts = (() => {
  // By the element's id: { json, figures, zoom, base }.
  const states = new Map();
  let range = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Figures escape names, because Plotly reads some HTML.
  const plain = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
  const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  // Long names lose their middle: what tells them apart is often at the end.
  function shorten(text, most) {
    const letters = [...plain(text)];
    if (letters.length <= most) return text;
    const tail = Math.floor(most / 3);
    return escaped(`${letters.slice(0, most - tail - 1).join("")}…${letters.slice(-tail).join("")}`);
  }

  function stateOf(element) {
    const json = document.getElementById(element.dataset.figures).textContent;
    const state = states.get(element.id) ?? { zoom: null };
    if (state.json !== json) {
      state.json = json;
      state.figures = JSON.parse(json);
    }
    states.set(element.id, state);
    return state;
  }

  // The last so many hours, up to the snapshot's minute or, beyond two days, its hour: as the figures' cells.
  function timeRange(hours) {
    const at = Date.parse(window.dashSnapshot?.generated_at ?? "");
    if (Number.isNaN(at)) return null;
    const step = hours <= 48 ? 60000 : 3600000;
    const end = Math.ceil(at / step) * step;
    return [end - hours * 3600000, end].map((ms) => new Date(ms).toISOString().slice(0, 19));
  }

  function hasValues(figure) {
    const numbers = (values) => values?.some((value) => typeof value === "number");
    return figure.data.some((trace) => numbers(trace.y) || numbers(trace.x));
  }

  function axisStyle(axis, narrow) {
    axis.gridcolor = colour("--chart-grid");
    axis.linecolor = colour("--chart-grid");
    // Ticks and title take the room that they need, and the title stands clear of the ticks.
    axis.automargin = true;
    if (narrow) delete axis.title;
    else if (axis.title) axis.title.standoff = 12;
  }

  function fitNarrow(figure) {
    const { layout, data } = figure;
    layout.font.size = 11;
    // The last label may stand out by half of its width; Plotly leaves out what would be cut.
    Object.assign(layout.margin, { l: 8, r: 28, b: 24 });
    layout.xaxis.tickangle = 0;
    if (layout.xaxis.type === "date") layout.xaxis.nticks = 6;
    if (layout.xaxis.tickvals) {
      const every = Math.ceil(layout.xaxis.tickvals.length / 4);
      const some = (values) => values.filter((_, at) => at % every === 0);
      Object.assign(layout.xaxis, { tickvals: some(layout.xaxis.tickvals), ticktext: some(layout.xaxis.ticktext) });
    }
    if (layout.legend) layout.legend.y = -0.2;
    // Many names would take more room than their lines; touching a line tells its name.
    if (data.length > 6) layout.showlegend = false;
  }

  function style(figure, narrow) {
    const { layout } = figure;
    layout.paper_bgcolor = "rgba(0,0,0,0)";
    layout.plot_bgcolor = "rgba(0,0,0,0)";
    layout.font = { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--chart-text") };
    layout.hoverlabel = {
      bgcolor: colour("--chart-hover"),
      bordercolor: colour("--chart-grid"),
      font: { color: colour("--chart-hover-text") },
    };
    layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: colour("--chart-text"), activecolor: colour("--accent") };
    // Fingers scroll the page; buttons, which then always show, zoom.
    const coarse = matchMedia("(pointer: coarse)").matches;
    layout.dragmode = coarse ? false : "zoom";
    for (const name of ["xaxis", "yaxis", "yaxis2"]) {
      if (layout[name]) axisStyle(layout[name], narrow);
    }
    if (coarse) layout.margin.t = 40;
    if (narrow) fitNarrow(figure);
  }

  function fitNames(figure, narrow) {
    const categories = figure.layout.yaxis?.type === "category";
    const most = (narrow ? 20 : 26) - (categories ? 6 : 0);
    for (const trace of figure.data) {
      if (trace.name) trace.name = shorten(trace.name, most);
      if (!categories) continue;
      figure.layout.yaxis.tickvals = trace.y;
      figure.layout.yaxis.ticktext = trace.y.map((name) => shorten(name, most));
    }
  }

  function sayEmpty(layout) {
    const text = "No operations in this time";
    const place = { xref: "paper", yref: "paper", x: 0.5, y: 0.5, showarrow: false };
    layout.annotations = [{ text, ...place, font: { size: 14 } }];
  }

  // The figure of the chosen range, made to fit the page.
  function prepare(element, state, button) {
    const ranged = range in state.figures;
    const figure = structuredClone(ranged ? state.figures[range] : state.figures[""]);
    const narrow = element.clientWidth < 520;
    style(figure, narrow);
    fitNames(figure, narrow);
    if (!hasValues(figure)) sayEmpty(figure.layout);
    if (ranged) {
      const times = timeRange(Number(button.dataset.hours));
      if (times) figure.layout.xaxis.range = times;
    }
    state.base = {};
    for (const name of ["xaxis", "yaxis", "yaxis2"]) {
      if (figure.layout[name]) state.base[name] = figure.layout[name].range ?? null;
    }
    for (const [name, kept] of Object.entries(state.zoom ?? {})) {
      figure.layout[name].range = kept;
      figure.layout[name].autorange = false;
    }
    return figure;
  }

  // What the reader zoomed to, axis by axis, from what Plotly says has changed.
  function noteZoom(state, change) {
    for (const name of Object.keys(state.base ?? {})) {
      const [from, to] = [change[`${name}.range[0]`], change[`${name}.range[1]`]];
      if (from !== undefined && to !== undefined) state.zoom = { ...state.zoom, [name]: [from, to] };
      if (change[`${name}.autorange`] && state.zoom) delete state.zoom[name];
    }
  }

  function save(element, format) {
    const title = document.title.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60);
    const layout = { ...element.layout, paper_bgcolor: colour("--panel"), plot_bgcolor: colour("--panel") };
    const figure = { data: element.data, layout };
    const { width, height } = element._fullLayout;
    const filename = `${title}-${element.id.replace("chart-", "")}`;
    Plotly.downloadImage(figure, { format, filename, width, height, scale: format === "png" ? 2 : 1 });
  }

  function unzoom(element) {
    states.get(element.id).zoom = null;
    draw(element);
  }

  const config = {
    responsive: true,
    displayModeBar: "hover",
    displaylogo: false,
    doubleClick: false,
    modeBarButtons: [
      [
        { name: "png", title: "Download as PNG", icon: { ...window.Plotly?.Icons.camera }, click: (e) => save(e, "png") },
        { name: "svg", title: "Download as SVG", icon: { ...window.Plotly?.Icons.disk }, click: (e) => save(e, "svg") },
      ],
      ["zoomIn2d", "zoomOut2d"],
      [{ name: "whole", title: "Whole range", icon: { ...window.Plotly?.Icons.home }, click: unzoom }],
    ],
  };

  function draw(element) {
    if (element.closest("[hidden]")) return;
    const state = stateOf(element);
    const button = document.querySelector(`[data-range="${CSS.escape(range)}"]`);
    const figure = prepare(element, state, button);
    if (figure.layout.height) element.style.height = `${figure.layout.height}px`;
    const fresh = !element._fullLayout;
    Plotly.react(element, figure.data, figure.layout, config);
    if (!fresh) return;
    element.on("plotly_relayout", (change) => noteZoom(state, change));
    element.on("plotly_doubleclick", () => unzoom(element));
  }

  function drawAll() {
    document.querySelectorAll(".chart").forEach(draw);
  }

  function rangeOfAddress() {
    const wanted = /^#range=(.+)$/.exec(location.hash)?.[1];
    return document.querySelector(`[data-range="${CSS.escape(wanted ?? "")}"]`)?.dataset.range;
  }

  function setRange(label) {
    range = label;
    for (const state of states.values()) state.zoom = null;
    for (const button of document.querySelectorAll("[data-range]")) {
      const chosen = button.dataset.range === range;
      button.ariaPressed = String(chosen);
      button.classList.toggle("active", chosen);
    }
    carryRange();
    drawAll();
  }

  // Links to neighbours keep the range.
  function carryRange() {
    if (!location.hash.startsWith("#range=")) return;
    for (const link of document.querySelectorAll("[data-carries-range]")) link.hash = location.hash;
  }

  function start() {
    const buttons = document.querySelector(".ranges");
    if (!buttons || !window.Plotly) return;
    buttons.addEventListener("click", (event) => {
      const label = event.target.closest("[data-range]")?.dataset.range;
      if (!label) return;
      history.replaceState(null, "", `#range=${label}`);
      setRange(label);
    });
    addEventListener("hashchange", () => {
      const label = rangeOfAddress();
      if (label && label !== range) setRange(label);
    });
    document.documentElement.addEventListener("dash:theme", drawAll);
    setRange(rangeOfAddress() ?? buttons.dataset.chosen);
  }

  // For the figures that the page has now.
  function update() {
    if (range === null) return start();
    carryRange();
    drawAll();
  }

  return { update };
})();
