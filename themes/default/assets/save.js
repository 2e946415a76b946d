// Saves a chart as the reader sees it: as PNG, SVG or PDF with its title and legend, or its values as CSV.
"use strict";

dash.save = (() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Plotly reads some HTML in its texts.
  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  function hand(parts, type, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(parts, { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  // The picture, which has no page around it to say what it shows.
  function picture(element, { chart }) {
    const named = chart.across === "time" && chart.series.length > 1;
    const room = named ? 26 * Math.ceil(chart.series.length / 4) : 0;
    const { margin, annotations = [] } = element.layout;
    const [left, right] = [...element.closest(".chart").querySelectorAll(".chart-axes span")].map((span) => escaped(span.textContent));
    const over = { xref: "paper", yref: "paper", y: 1, yanchor: "bottom", yshift: 10, showarrow: false };
    const layout = {
      ...element.layout,
      // What a picture is drawn with knows none of the page's typefaces.
      font: { ...element.layout.font, family: "sans-serif" },
      annotations: [
        ...annotations,
        { ...over, text: left, x: 0, xanchor: "left", xshift: 12 - margin.l },
        { ...over, text: right, x: 1, xanchor: "right", xshift: margin.r - 12 },
      ],
      title: { text: escaped(`${element.dataset.label} · ${document.title}`), x: 0.02, xanchor: "left", font: { size: 14 } },
      showlegend: named,
      legend: { orientation: "h", yref: "container", y: 0.01, yanchor: "bottom", x: 0 },
      margin: { ...margin, t: margin.t + 44, b: margin.b + room },
      paper_bgcolor: colour("--panel"),
      plot_bgcolor: colour("--panel"),
    };
    const { width, height } = element._fullLayout;
    return { figure: { data: element.data, layout }, width, height: height + 44 + room };
  }

  // Its pixels, three bytes each, packed as PDF reads them.
  async function pixels(url) {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: image.width, height: image.height });
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data, width, height } = context.getImageData(0, 0, image.width, image.height);
    const rgb = new Uint8Array(width * height * 3);
    for (let at = 0; at < rgb.length; at += 1) rgb[at] = data[at + Math.floor(at / 3)];
    const packed = new Blob([rgb]).stream().pipeThrough(new CompressionStream("deflate"));
    return { width, height, bytes: new Uint8Array(await new Response(packed).arrayBuffer()) };
  }

  // A page that is filled by one picture (ISO 32000-1, 7.5): objects, a table of where they are, and its end.
  function pdf({ width, height, bytes }, [across, down]) {
    const draw = `q ${across} 0 0 ${down} 0 0 cm /I Do Q`;
    const objects = [
      ["<</Type/Catalog/Pages 2 0 R>>"],
      ["<</Type/Pages/Kids[3 0 R]/Count 1>>"],
      [`<</Type/Page/Parent 2 0 R/MediaBox[0 0 ${across} ${down}]/Resources<</XObject<</I 4 0 R>>>>/Contents 5 0 R>>`],
      [`<</Type/XObject/Subtype/Image/Width ${width}/Height ${height}/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/FlateDecode/Length ${bytes.length}>>stream\n`, bytes, "\nendstream"],
      [`<</Length ${draw.length}>>stream\n${draw}\nendstream`],
    ];
    const parts = ["%PDF-1.4\n"];
    const length = () => parts.reduce((sum, part) => sum + part.length, 0);
    const places = objects.map((object, at) => {
      const place = length();
      parts.push(`${at + 1} 0 obj\n`, ...object, "\nendobj\n");
      return `${String(place).padStart(10, "0")} 00000 n \n`;
    });
    const table = length();
    parts.push(`xref\n0 6\n0000000000 65535 f \n${places.join("")}trailer<</Size 6/Root 1 0 R>>\nstartxref\n${table}\n%%EOF\n`);
    return parts;
  }

  // Text that a spreadsheet shows and does not run, and a cell as RFC 4180 has it.
  const inert = (text) => (/^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text);
  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);

  const units = { percent: "%", milliseconds: "ms", count: "", "per-minute": "/ min" };

  // `Success rate, %`: what a series is called and counted in.
  function head(series, { unit, currency }) {
    const sign = units[unit] ?? currency;
    return inert(`${series.name}${sign && `, ${sign}`}`);
  }

  // What a row is of: the beginning of a cell of time, what a bar is between, or whose it is.
  function places({ across }, { time, names, texts }, count) {
    if (across === "names") return names.map(inert);
    if (across === "bins") return (texts ?? []).map((text) => text.split("<br>")[0]);
    const [, , first, step] = time;
    return Array.from({ length: count }, (_, cell) => new Date(first + cell * step).toISOString().replace(".000Z", "Z"));
  }

  // A row a cell, and a column a series, as `charts/rows.rs` writes them too; without what is not shown.
  function rows({ chart, view, hidden, range }) {
    const isHeat = chart.series.length === 0;
    const columns = view.values.map((values) => (values === "" ? [] : values.split(",")));
    const kept = columns.map((_, at) => at).filter((at) => !hidden.has(at));
    const count = Math.max(0, ...columns.map((values) => values.length));
    const named = kept.map((at) => (isHeat ? inert(view.names[at]) : head(chart.series[at], chart.units[chart.series[at].right ? 1 : 0])));
    const lines = places(chart, view, count).map((place, cell) => [place, ...kept.map((at) => columns[at][cell] || (isHeat ? "0" : ""))]);
    const within = ([time]) => !view.time || !range.from || (Date.parse(time) >= range.from && Date.parse(time) <= range.to);
    return [[{ time: "time", bins: "range", names: "name" }[chart.across], ...named], ...lines.filter(within)];
  }

  // `shown`: the chart and its view as the page carries them, which series are hidden, and the range.
  return async (element, format, shown) => {
    const title = document.title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-/, "").slice(0, 60);
    const filename = `${title}-${element.id.replace("chart-", "")}`;
    if (format === "csv") {
      const lines = rows(shown).map((row) => `${row.map(cell).join(",")}\r\n`);
      return hand(lines, "text/csv;charset=utf-8", `${filename}.csv`);
    }
    const { figure, width, height } = picture(element, shown);
    if (format !== "pdf") {
      return Plotly.downloadImage(figure, { format, filename, width, height, scale: format === "png" ? 2 : 1 });
    }
    const image = await pixels(await Plotly.toImage(figure, { format: "png", width, height, scale: 3 }));
    return hand(pdf(image, [width * 0.75, height * 0.75]), "application/pdf", `${filename}.pdf`);
  };
})();
