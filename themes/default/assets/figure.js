// What a chart's script block says, as a figure for Plotly. Scales and labels are those of the drawing whose
// place it takes; they are read from there, so that both say the same.
"use strict";

dash.figure = (() => {
  // Pixels around the plot, as `charts.css` gives them to drawings.
  const around = { t: 28, b: 28 };
  const [side, noAxis, names] = [58, 20, 136];
  // A gap is marked from so many cells on.
  const markedGap = 3;
  // Levels of `--heat-1` and so on.
  const levels = 6;
  // The text of a bar stands in it from this share of the axis on.
  const inside = 0.5;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const painted = (name) => colour(`--${name}`);

  // Plotly reads some HTML in its texts, and a name must not be read as any.
  const label = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  const hovers = {
    percent: () => "%{y:.2f} %",
    milliseconds: () => "%{y:,.1f} ms",
    count: () => "%{y:,}",
    "per-minute": () => "%{y:,.2~f} / min",
    money: (currency) => `%{y:,.6~f} ${label(currency)}`,
  };
  const hover = ({ unit, currency }) => hovers[unit](currency);

  // Nothing between two commas is a cell without data.
  const numbers = (text) => (text === "" ? [] : text.split(",").map((number) => (number === "" ? null : Number(number))));

  // Labels of a drawing's axis: [share of the axis from the left or from below, text].
  function labels(drawing, group, side) {
    const texts = [...drawing.querySelectorAll(`:scope > g.${group} > text`)];
    const share = (text) => Number.parseFloat(text.getAttribute(side) ?? "0") / 100;
    return texts.map((text) => [side === "x" ? share(text) : 1 - share(text), text.textContent]);
  }

  const ticks = (labels, at) => ({ tickvals: labels.map(([share]) => at(share)), ticktext: labels.map(([, text]) => label(text)) });
  const valueAxis = (top, labels) => ({ range: [0, top], zeroline: false, gridcolor: colour("--chart-grid"), ...ticks(labels, (share) => share * top) });

  // Sizes that show a point only where it has no line.
  const lonely = (values) => values.map((value, at) => (value !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null ? 4 : 0));

  function line(series, values, unit) {
    const paint = painted(series.paint[0]);
    const sizes = lonely(values);
    return {
      type: "scatter",
      mode: sizes.some((size) => size > 0) ? "lines+markers" : "lines",
      connectgaps: false,
      line: { width: 1.75, color: paint, dash: series.shape === "dotted" ? "dot" : "solid" },
      marker: { color: paint, size: sizes },
      hovertemplate: hover(unit),
      ...(series.right && { yaxis: "y2" }),
    };
  }

  // A row of a heat map is bars of one height, since Plotly's basic bundle has no heat maps. The colour goes by
  // the root of the count, so that few show beside many.
  function heat(row, counts, most) {
    const level = (count) => Math.ceil(levels * Math.sqrt(count / most));
    return {
      type: "bar",
      base: row,
      hovertemplate: "%{x}<br>%{fullData.name}<br>%{hovertext} operations<extra></extra>",
      hovertext: counts.map((count) => count?.toLocaleString("en")),
      marker: { color: counts.map((count) => (count === null ? "transparent" : colour(`--heat-${level(count)}`))) },
      y: counts.map((count) => (count === null ? null : 1)),
    };
  }

  const time = (ms) => new Date(ms).toISOString();

  function overTime(chart, view, rows, drawing) {
    const [from, to, first, step] = view.time;
    const most = Math.max(1, ...rows.flat());
    const x = { x0: time(first), dx: step, offset: 0 };
    const trace = (values, at) => {
      const series = chart.series[at];
      if (!series) return { ...x, width: step, name: label(view.names[at]), ...heat(at, values, most) };
      const own = { name: label(series.name), y: values, ...x };
      const unit = chart.units[series.right ? 1 : 0];
      if (series.shape !== "bar") return { ...own, ...line(series, values, unit) };
      return { ...own, type: "bar", width: step * 0.9, marker: { color: painted(series.paint[0]) }, hovertemplate: hover(unit) };
    };
    const isHeat = chart.series.length === 0;
    return {
      data: rows.map(trace),
      layout: {
        hovermode: isHeat ? "closest" : "x unified",
        barmode: isHeat ? "overlay" : "stack",
        shapes: [...gaps(rows, view.time), ...(view.marks ?? []).map(mark)],
        xaxis: {
          type: "date",
          showgrid: false,
          tickangle: 0,
          range: [time(from), time(to)],
          ...ticks(labels(drawing, "middle", "x"), (share) => from + share * (to - from)),
        },
      },
    };
  }

  const upright = (from, to) => ({ x0: time(from), x1: time(to), yref: "paper", y0: 0, y1: 1 });

  // Where no series has a value for long, but for a plot without any.
  function gaps(rows, [, , first, step]) {
    const cells = Math.max(0, ...rows.map((row) => row.length));
    const shapes = [];
    const fillcolor = colour("--chart-gap");
    for (let at = 0, begin = 0; at <= cells; at += 1) {
      if (at < cells && rows.every((row) => (row[at] ?? null) === null)) continue;
      const count = at - begin;
      if (count >= markedGap && count < cells) {
        shapes.push({ type: "rect", layer: "below", line: { width: 0 }, fillcolor, ...upright(first + begin * step, first + at * step) });
      }
      begin = at + 1;
    }
    return shapes;
  }

  const mark = ([at, paint]) => ({ type: "line", line: { width: 1, dash: "dot", color: painted(paint) }, ...upright(at, at) });

  function bins(chart, view, [values], drawing) {
    const [series] = chart.series;
    const count = Math.max(1, values.length);
    const bars = { type: "bar", name: label(series.name), x: values.map((_, at) => at), y: values, offset: 0, width: 0.9 };
    return {
      data: [{ ...bars, marker: { color: painted(series.paint[0]) }, hovertext: view.texts ?? [], hoverinfo: "text" }],
      layout: { xaxis: { range: [0, count], tickangle: 0, showgrid: false, zeroline: false, ...ticks(labels(drawing, "middle", "x"), (share) => share * count) } },
    };
  }

  // Bars below each other; Plotly stacks from below.
  function named(chart, view, [values], drawing) {
    const upwards = (list) => [...(list ?? [])].reverse();
    const [top] = view.tops;
    const [whole, x, texts] = [upwards(view.names).map(label), upwards(values), upwards(view.texts).map(label)];
    const unknown = whole.filter((_, at) => x[at] === null);
    return {
      data: [{
        type: "bar",
        orientation: "h",
        name: label(chart.series[0].name),
        x,
        y: whole,
        text: texts,
        textposition: x.map((value) => (value !== null && value >= top * inside ? "inside" : "outside")),
        insidetextanchor: "end",
        constraintext: "none",
        textangle: 0,
        hovertext: whole.map((name, at) => `${name}: ${texts[at]}`),
        hoverinfo: "text",
        marker: { color: upwards(chart.series[0].paint).map(painted) },
      }],
      layout: {
        bargap: 0.35,
        // Stands where a bar would be: zero is something else.
        annotations: unknown.map((y) => ({ text: "No data", x: 0, xanchor: "left", y, showarrow: false })),
        xaxis: { ...valueAxis(top, labels(drawing, "middle", "x")), tickangle: 0 },
        yaxis: { type: "category", gridcolor: colour("--chart-grid"), tickvals: whole.map((_, at) => at), ticktext: upwards(labels(drawing, "end", "y")).map(([, text]) => label(text)) },
      },
    };
  }

  // The figure of one of a chart's views, in the colours of the page; `drawing` is the view's.
  return (chart, view, drawing) => {
    const rows = view.values.map(numbers);
    const make = { time: overTime, bins, names: named }[chart.across];
    const { data, layout } = make(chart, view, rows, drawing);
    const right = view.tops.length > 1;
    layout.showlegend = false;
    layout.margin = { ...around, l: chart.across === "names" ? names : side, r: right ? side : noAxis };
    layout.yaxis ??= valueAxis(view.tops[0], labels(drawing, "end", "y"));
    if (right) layout.yaxis2 = { ...valueAxis(view.tops[1], labels(drawing, "start", "y")), side: "right", overlaying: "y", showgrid: false };
    // Labels are chosen and places given: to measure them anew would take a quarter of the time of a first plot.
    layout.margin.autoexpand = false;
    for (const axis of [layout.xaxis, layout.yaxis, layout.yaxis2]) if (axis) axis.ticklabeloverflow = "allow";
    layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
    layout.font = { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--chart-text") };
    layout.hoverlabel = { bgcolor: colour("--chart-hover"), bordercolor: colour("--chart-grid"), font: { color: colour("--chart-hover-text") } };
    layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: colour("--chart-text"), activecolor: colour("--accent") };
    return { data, layout, empty: !rows.some((row) => row.some((value) => value !== null)) };
  };
})();
