"use strict";
// Draws the figures of the page: for the width there is, in the colours of the reader's screen, in light ones on paper.
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const figures = read("figures");
  const dark = read("dark");
  const texts = read("texts");
  const screen = window.matchMedia("(prefers-color-scheme: dark)");
  const touch = window.matchMedia("(pointer: coarse)");
  const chosen = {};
  const hidden = new Set(); // names that the reader switched off: in every figure that has them
  const NARROW = 4; // numbers along an axis of a telephone's page
  let paper = false;

  // Only values under a key that names a colour are exchanged: a trial's text is never touched.
  const painted = (value, isColor) => {
    if (Array.isArray(value)) return value.map((entry) => painted(entry, isColor));
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, painted(entry, /color$/.test(key))]));
    }
    return isColor && typeof value === "string" && value in dark ? dark[value] : value;
  };

  const arrange = (layout, meta, width) => {
    const columns = Math.max(1, Math.min(meta.panels, Math.floor(width / 290)));
    const rows = Math.ceil(meta.panels / columns);
    const left = Math.min(0.3, (52 * columns) / width);
    for (let i = 0; i < meta.panels; i += 1) {
      const tag = i === 0 ? "" : String(i + 1);
      const row = Math.floor(i / columns);
      const place = i % columns;
      layout["xaxis" + tag].domain = [(place + left) / columns, (place + 0.97) / columns];
      layout["yaxis" + tag].domain = [1 - (row + 0.76) / rows, 1 - (row + 0.04) / rows];
    }
    layout.height = meta.panel * rows + 10;
    Object.assign(layout.margin, { l: 0, r: 4, t: 10, b: 0 });
  };

  // Where there is no room side by side, what ran across runs down: the first axis on top, low values on the left.
  const turn = (copy, width, height) => {
    const down = (values) => values.map((value) => (value === null ? null : -value));
    copy.data.forEach((trace) => { [trace.x, trace.y] = [trace.y, down(trace.x)]; });
    copy.layout.shapes.forEach((line) => { [line.x0, line.x1, line.y0, line.y1] = [line.y0, line.y1, -line.x0, -line.x1]; });
    copy.layout.annotations.forEach((note) => {
      const title = note.yref === "paper";
      const at = title ? { x: 0, xshift: -34, xanchor: "left", yshift: 20, text: note.text.replace("<br>", "") } : { x: note.y };
      Object.assign(note, at, { y: -note.x, xref: title ? "paper" : "x", yref: "y", yanchor: "middle" });
    });
    const ticks = copy.layout.annotations.filter((note) => note.xref === "x");
    for (const y of new Set(ticks.map((note) => note.y))) {
      const row = ticks.filter((note) => note.y === y).sort((a, b) => a.x - b.x);
      const touch = (a, b) => 3.3 * (a.text.length + b.text.length) + 10 > ((b.x - a.x) * (width - 68)) / 1.3;
      if (row.slice(1).some((note, i) => touch(row[i], note))) row.forEach((note, i) => { note.yshift = i % 2 ? -13 : 0; });
    }
    const [first, last] = copy.layout.xaxis.range;
    [copy.layout.xaxis.range, copy.layout.yaxis.range] = [copy.layout.yaxis.range, [-last, -first + 0.35]];
    copy.layout.height = height;
    Object.assign(copy.layout.margin, { l: 34, r: 34, b: 4 });
  };

  const draw = (name) => {
    const place = document.getElementById("figure-" + name);
    const figure = figures[name];
    const copy = screen.matches && !paper ? painted(figure, false) : structuredClone(figure);
    const meta = copy.layout.meta || {};
    const width = paper ? 680 : Math.floor(place.clientWidth);
    copy.layout.width = width;
    if (meta.turned && width < meta.turned.below) turn(copy, width, meta.turned.height);
    if (meta.panels) arrange(copy.layout, meta, width);
    // Axes of one scale are as high as the page is wide at most: what is higher would be a gap below them.
    if (meta.square) copy.layout.height = Math.min(copy.layout.height, width + meta.square);
    // A narrow axis has room for few numbers beside each other.
    if (width < 520 && copy.layout.xaxis.nticks && !meta.panels) copy.layout.xaxis.nticks = Math.min(copy.layout.xaxis.nticks, NARROW);
    // A narrow legend has more lines; they must not eat the picture.
    const lines = copy.data.filter((trace) => trace.showlegend !== false && trace.name).length;
    if (width < 520 && !meta.turned) copy.layout.height += meta.panels ? 90 : 16 * Math.max(0, lines - 2);
    if (touch.matches) copy.layout.dragmode = false;
    const option = meta.switch && meta.switch[chosen[name] || 0];
    if (option) {
      copy.data.forEach((trace, i) => Object.assign(trace, { x: option.x[i], y: option.y[i] }));
      copy.layout.xaxis.title.text = option.title;
    }
    delete copy.layout.meta;
    copy.data.forEach((trace) => { if (hidden.has(trace.name)) trace.visible = "legendonly"; });
    const config = { displayModeBar: false, responsive: false, doubleClick: "reset", typesetMath: false }; // a $ in a name is one
    const drawn = Plotly.react(place, { data: copy.data, layout: copy.layout, frames: copy.frames, config });
    if (!place.dataset.heard) {
      place.dataset.heard = "yes";
      place.on("plotly_legendclick", (event) => toggle(event.fullData[event.curveNumber].name));
    }
    return drawn;
  };

  // One legend for all figures: what is switched off in one is off in the others that show it.
  const toggle = (name) => {
    if (!hidden.delete(name)) hidden.add(name);
    names.filter((other) => isOpen(other) && figures[other].data.some((trace) => trace.name === name)).forEach(safely);
    return false;
  };

  const savers = (name) => {
    const bar = document.getElementById("save-" + name);
    if (!bar) return;
    bar.append(texts.save + " ");
    ["png", "svg"].forEach((format) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = format.toUpperCase();
      button.setAttribute("aria-label", `${texts.save} ${format.toUpperCase()}: ${document.getElementById("figure-" + name).getAttribute("aria-label")}`);
      button.addEventListener("click", () => {
        const place = document.getElementById("figure-" + name);
        const size = { width: place.clientWidth, height: place.layout.height, scale: format === "png" ? 2 : 1 };
        Plotly.downloadImage(place, { format, filename: name, ...size });
      });
      bar.append(button);
    });
  };

  const buttons = (name) => {
    const options = (figures[name].layout.meta || {}).switch || [];
    if (options.length < 2) return;
    const bar = document.getElementById("switch-" + name);
    bar.append(texts.switch + " ");
    options.forEach((option, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = option.label;
      button.setAttribute("aria-pressed", String(i === 0));
      button.addEventListener("click", () => {
        chosen[name] = i;
        bar.querySelectorAll("button").forEach((other, j) => other.setAttribute("aria-pressed", String(i === j)));
        draw(name);
      });
      bar.append(button);
    });
  };

  // Tables: a click on a heading sorts by its column, once more the other way; a button adds the rows beyond the first ones.
  const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const SECONDS = { h: 3600, min: 60, s: 1 };
  const plain = (text) => text.replace(/[⁰¹²³⁴⁵⁶⁷⁸⁹]/g, (digit) => SUPERSCRIPTS.indexOf(digit)).replace(/[⁻−]/g, "-");
  const amount = (text) => {
    const line = plain(text).replace(/,(?=\d{3})/g, "");
    const times = [...line.matchAll(/([\d.]+)\s(h|min|s)(?![a-z])/g)];
    if (times.length) return times.reduce((sum, [, value, unit]) => sum + Number(value) * SECONDS[unit], 0);
    const found = /^(-?[\d.]+)(?:×10(-?\d+))?/.exec(line);
    return found ? Number(found[1]) * 10 ** Number(found[2] || 0) : NaN;
  };
  const order = (body, column, sign) => {
    const rows = [...body.rows].map((row) => ({ row, text: row.cells[column].textContent, value: amount(row.cells[column].textContent) }));
    const empty = (one) => one.text === "";
    const known = (one) => !Number.isNaN(one.value);
    rows.sort((a, b) => {
      if (empty(a) || empty(b)) return empty(a) - empty(b); // empty cells are last, whichever way
      if (known(a) !== known(b)) return known(b) - known(a); // then words
      return sign * (known(a) ? a.value - b.value : a.text.localeCompare(b.text));
    });
    body.append(...rows.map(({ row }) => row));
  };
  const sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    if (body.rows.length < 2) return;
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        order(body, column, up ? 1 : -1);
      });
    });
  };
  const openable = (box) => {
    const table = box.querySelector("table");
    const heads = [...table.tHead.rows[0].cells];
    const bar = document.createElement("p");
    const button = document.createElement("button");
    bar.className = "switch";
    button.type = "button";
    button.textContent = box.dataset.more;
    button.addEventListener("click", () => {
      read("rows")[box.dataset.rows].forEach((cells) => {
        const row = table.tBodies[0].insertRow();
        cells.forEach((text, column) => {
          const cell = row.insertCell();
          cell.className = heads[column].className;
          cell.textContent = text;
        });
      });
      const sorted = heads.findIndex((head) => head.hasAttribute("aria-sort"));
      if (sorted >= 0) order(table.tBodies[0], sorted, heads[sorted].getAttribute("aria-sort") === "ascending" ? 1 : -1);
      box.classList.add("open");
      box.focus();
      bar.remove();
    });
    bar.append(button);
    box.after(bar);
  };
  document.querySelectorAll(".scroll table").forEach(sortable);
  document.querySelectorAll(".scroll[data-rows]").forEach(openable);

  const tell = (name, error) => {
    const line = document.createElement("p");
    line.textContent = texts.failed + " (" + error.message + ")";
    document.getElementById("figure-" + name).replaceChildren(line);
    console.error(error);
  };
  const safely = async (name) => {
    try { await draw(name); } catch (error) { tell(name, error); }
  };
  // plotly.js lies in the page compressed; the page's policy knows the hash of what comes out.
  const load = async () => {
    const packed = Uint8Array.from(atob(read("plotly")), (letter) => letter.charCodeAt(0));
    const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(unpacked).text();
    document.head.append(script);
  };

  const names = Object.keys(figures);
  const isOpen = (name) => !document.getElementById("figure-" + name).closest("details.more:not([open])");
  const all = async (wanted = names) => {
    for (const name of wanted.filter(isOpen)) {
      await safely(name);
      await new Promise((done) => setTimeout(done)); // the page answers between two figures
    }
  };

  // Figures that are folded are drawn when they are opened; a link to something folded opens it, and so does paper.
  const folds = [...document.querySelectorAll("details.more")];
  const inside = (fold) => names.filter((name) => fold.contains(document.getElementById("figure-" + name)));
  const reveal = async () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const fold = target && target.closest("details.more");
    if (!fold) return;
    fold.open = true;
    await all(inside(fold));
    target.scrollIntoView();
  };
  const unfold = () => {
    folds.forEach((fold) => { fold.dataset.was = fold.open ? "open" : ""; fold.open = true; });
  };
  const fold = () => folds.forEach((one) => { one.open = one.dataset.was === "open"; });

  let waiting = 0;
  let width = window.innerWidth;
  const listen = () => {
    window.addEventListener("resize", () => {
      if (window.innerWidth === width) return; // a phone's address bar comes and goes
      width = window.innerWidth;
      clearTimeout(waiting);
      waiting = setTimeout(() => all(), 150);
    });
    screen.addEventListener("change", () => all());
    folds.forEach((one) => one.addEventListener("toggle", () => { if (one.open && !paper) all(inside(one)); }));
    window.addEventListener("hashchange", reveal);
    window.addEventListener("beforeprint", () => { paper = true; unfold(); names.forEach(draw); });
    window.addEventListener("afterprint", () => { paper = false; fold(); all(); });
  };

  const start = async () => {
    try { await load(); } catch (error) { names.forEach((name) => tell(name, error)); return; }
    names.forEach(buttons);
    names.forEach(savers);
    listen();
    await all();
    await reveal();
  };
  start().then(() => { document.documentElement.dataset.drawn = String(names.length); });
})();
