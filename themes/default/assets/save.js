// Saves a chart as the reader sees it: as PNG, SVG or PDF with its title and legend, or its values as CSV.
"use strict";

dash.save = (() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Plotly reads some HTML in texts, and its figures carry names that are escaped for that.
  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const unescaped = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
  const isHeat = (trace) => String(trace.meta).startsWith("heat:");

  function hand(parts, type, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(parts, { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  // The picture, which has no page around it to say what it shows.
  function picture(element) {
    const title = { text: escaped(`${element.dataset.label} · ${document.title}`), x: 0.02, xanchor: "left", font: { size: 14 } };
    const named = element.data.length > 1 && !isHeat(element.data[0]);
    const { l, r, t, b } = element.layout.margin;
    const rows = named ? Math.ceil(element.data.length / 4) : 0;
    const layout = {
      ...element.layout,
      title,
      showlegend: named,
      legend: { orientation: "h", yref: "container", y: 0.01, yanchor: "bottom", x: 0 },
      margin: { l, r, t: t + 28, b: b + 26 * rows },
      paper_bgcolor: colour("--panel"),
      plot_bgcolor: colour("--panel"),
    };
    const { width, height } = element._fullLayout;
    return { figure: { data: element.data, layout }, width, height: height + 28 + 26 * rows };
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
    const rgb = new Uint8Array(width * height * 3).map((_, at) => data[Math.floor(at / 3) * 4 + (at % 3)]);
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
  const number = (value) => (value === null || value === undefined ? "" : String(value));

  // `Success rate, %`: what a series is called and counted in.
  function head(trace) {
    const told = trace.hoverinfo || isHeat(trace) ? "" : trace.hovertemplate;
    const unit = unescaped((told ?? "").replace(/%\{[^}]*\}/g, "").trim());
    return inert(unescaped(trace.name) + (unit && `, ${unit}`));
  }

  // A row a time, and a column a series; `range` leaves out what is not shown.
  function byTime(data, range) {
    const times = new Map();
    data.forEach((trace, at) => {
      const first = Date.parse(trace.x0);
      trace.y.forEach((value, step) => {
        const time = first + step * trace.dx;
        if (range.from && (time < range.from || time > range.to)) return;
        if (!times.has(time)) times.set(time, data.map((other) => (isHeat(other) ? "0" : "")));
        times.get(time)[at] = number(value);
      });
    });
    const written = (time) => new Date(time).toISOString().replace(".000Z", "Z");
    return [...times].sort((a, b) => a[0] - b[0]).map(([time, values]) => [written(time), ...values]);
  }

  function rows(data, range) {
    const [first] = data;
    if (!first) return [];
    if ("x0" in first) return [["time", ...data.map(head)], ...byTime(data, range)];
    if (first.orientation === "h") {
      const names = first.y.map((name, at) => [inert(unescaped(name)), number(first.x[at])]);
      return [["name", `${head(first)}, %`], ...names.reverse()];
    }
    const told = (at) => first.hovertext[at].split("<br>")[0];
    return [["range", head(first)], ...first.y.map((value, at) => [told(at), number(value)])];
  }

  // `shown` has the traces that the reader sees, as the page carries them, and the range.
  return async (element, format, shown) => {
    const title = document.title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-/, "").slice(0, 60);
    const filename = `${title}-${element.id.replace("chart-", "")}`;
    if (format === "csv") {
      const lines = rows(shown.data, shown.range).map((row) => `${row.map(cell).join(",")}\r\n`);
      return hand(lines, "text/csv;charset=utf-8", `${filename}.csv`);
    }
    const { figure, width, height } = picture(element);
    if (format !== "pdf") {
      return Plotly.downloadImage(figure, { format, filename, width, height, scale: format === "png" ? 2 : 1 });
    }
    const image = await pixels(await Plotly.toImage(figure, { format: "png", width, height, scale: 3 }));
    return hand(pdf(image, [width * 0.75, height * 0.75]), "application/pdf", `${filename}.pdf`);
  };
})();
