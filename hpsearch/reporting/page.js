"use strict";
// Draws the figures of the page: for the width there is, in the colours of the reader's screen, in light ones on paper.
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const figures = read("figures");
  const dark = read("dark");
  const texts = read("texts");
  const screen = window.matchMedia("(prefers-color-scheme: dark)");
  const touch = window.matchMedia("(pointer: coarse)");
  const colors = read("marks"); // of what the reader has chosen
  const chosen = {};
  const stale = new Set(); // figures that must be drawn again
  const scales = []; // [the buttons, the figure] of every axis that can show all values
  const hidden = new Set(); // names that the reader switched off: in every figure that has them
  const NARROW = 4; // numbers along an axis of a telephone's page
  let paper = false;
  let whole = false; // whether axes of the metric show every value

  const tint = (color) => (screen.matches && !paper ? dark[color] : color);
  // Only values under a key that names a colour are exchanged: a trial's text is never touched.
  const painted = (value, isColor) => {
    if (Array.isArray(value)) return value.map((entry) => painted(entry, isColor));
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, painted(entry, /color$/.test(key))]));
    }
    return isColor && typeof value === "string" && value in dark ? dark[value] : value;
  };

  const arrange = (layout, meta, width) => {
    const columns = Math.max(1, Math.min(meta.panels, Math.floor(width / (paper ? 220 : 290))));
    const rows = Math.ceil(meta.panels / columns);
    const left = Math.min(0.3, (52 * columns) / width);
    for (let i = 0; i < meta.panels; i += 1) {
      const tag = i === 0 ? "" : String(i + 1);
      const row = Math.floor(i / columns);
      const place = i % columns;
      layout["xaxis" + tag].domain = [(place + left) / columns, (place + 0.97) / columns];
      if (paper && layout["xaxis" + tag].title) layout["xaxis" + tag].title.font = { ...layout["xaxis" + tag].title.font, size: 9 };
      layout["yaxis" + tag].domain = [1 - (row + 0.76) / rows, 1 - (row + 0.04) / rows];
    }
    if (paper) (layout.annotations || []).forEach((note) => { note.font = { ...note.font, size: 9 }; }); // panels are narrow there
    layout.height = meta.panel * rows + 10;
    Object.assign(layout.margin, { l: 0, r: 4, t: 10, b: 0 });
  };

  // The metric's axis with every value: each trace says what it is there; a name stays once in the legend.
  const showWhole = (copy, { axis }) => {
    Object.keys(copy.layout).filter((key) => /^yaxis/.test(key)).forEach((key) => Object.assign(copy.layout[key], axis));
    copy.layout.annotations = (copy.layout.annotations || []).filter((note) => note.name !== "beyond");
    const named = new Set();
    copy.data.forEach((trace) => {
      const { marker, ...other } = (trace.meta || {}).whole || {};
      Object.assign(trace, other);
      if (marker) Object.assign(trace.marker, marker);
      if (trace.showlegend === false || !trace.name) return;
      if (named.has(trace.name)) trace.showlegend = false;
      named.add(trace.name);
    });
  };
  // Whether the chosen trial is a line that ends beyond the axis, as the curve of a bad one does.
  const liesOutside = (copy) => {
    if (trials.lit === null) return false; // gaps between lines have no trial either
    const [low, high] = copy.layout.yaxis.range;
    return copy.data.some((trace) => {
      const last = trace.visible === false ? trace.customdata.lastIndexOf(trials.lit) : -1;
      return last >= 0 && (trace.y[last] < low || trace.y[last] > high);
    });
  };

  // A logarithmic axis keeps as many of its numbers as have room beside each other, the last one always. One with a tick at every
  // power of ten, whatever it is switched to, has its range from the data.
  const MOST_TICKS = 12;
  const makeRoom = (axis, width) => {
    if (axis.type !== "log" || !axis.ticktext || (!axis.range && axis.ticktext.length > MOST_TICKS)) return;
    const ends = axis.range || [Math.log10(axis.tickvals[0]), Math.log10(axis.tickvals.at(-1))];
    const [from, to] = axis.domain || [0.1, 1];
    const scale = ((to - from) * width) / (ends[1] - ends[0] || 1);
    const room = (text) => 3.25 * Math.max(...text.split("<br>").map((line) => line.length)) + 6; // to either side
    const ticks = axis.tickvals.map((value, i) => ({ value, text: axis.ticktext[i], at: (Math.log10(value) - ends[0]) * scale, half: room(axis.ticktext[i]) }));
    const inside = ticks.filter(({ at }) => at > -1 && at < (ends[1] - ends[0]) * scale + 1);
    const apart = (a, b) => b.at - a.at >= a.half + b.half;
    const last = inside.at(-1);
    const kept = [];
    inside.forEach((tick) => {
      const isFree = !kept.length || apart(kept.at(-1), tick);
      if (tick === last || (isFree && apart(tick, last))) kept.push(tick);
    });
    axis.tickvals = kept.map(({ value }) => value);
    axis.ticktext = kept.map(({ text }) => text);
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

  // A replay: the last traces grow; each of its frames says how many of their points it has.
  const replayed = (traces, replay) => replay.ends.map((ends, i) => {
    const first = traces.length - ends.length;
    const grown = ends.map((end, k) => ({ x: traces[first + k].x.slice(0, end), y: traces[first + k].y.slice(0, end) }));
    return { name: replay.names[i], data: grown, traces: ends.map((end, k) => first + k) };
  });

  const chosenOf = (name) => chosen[name] ?? (figures[name].layout.meta || {}).start ?? 0;
  const optionOf = (name) => ((figures[name].layout.meta || {}).switch || [])[chosenOf(name)];

  const draw = (name) => {
    const place = document.getElementById("figure-" + name);
    const option = optionOf(name);
    const figure = (option && option.figure) || figures[name];
    const copy = screen.matches && !paper ? painted(figure, false) : structuredClone(figure);
    const meta = copy.layout.meta || {};
    if (option && option.x) {
      copy.data.forEach((trace, i) => Object.assign(trace, { x: option.x[i], y: option.y[i] }));
      copy.layout.xaxis.title.text = option.title;
    }
    if (meta.whole && (whole || liesOutside(copy))) showWhole(copy, meta.whole);
    marking.mark(copy.data, { lit: tint(colors.lit), faded: tint(colors.faded) });
    if (meta.brush) copy.layout.shapes.push(...marking.shapes(meta.brush, tint(colors.lit)));
    const width = paper ? 680 : Math.floor(place.clientWidth);
    copy.layout.width = width;
    if (meta.turned && width < meta.turned.below) turn(copy, width, meta.turned.height);
    if (meta.panels) arrange(copy.layout, meta, width);
    // Axes of one scale are as high as the page is wide at most: what is higher would be a gap below them.
    if (meta.square) copy.layout.height = Math.min(copy.layout.height, width + meta.square);
    Object.entries(copy.layout).filter(([key]) => /^xaxis/.test(key)).forEach(([, axis]) => makeRoom(axis, width));
    // A narrow axis has room for few numbers beside each other.
    if (width < 520 && copy.layout.xaxis.nticks && !meta.panels) copy.layout.xaxis.nticks = Math.min(copy.layout.xaxis.nticks, NARROW);
    // A narrow legend has more lines; they must not eat the picture.
    const lines = copy.data.filter((trace) => trace.showlegend !== false && trace.name).length;
    if (width < 520 && !meta.turned && copy.layout.showlegend !== false) copy.layout.height += meta.panels ? 90 : 16 * Math.max(0, lines - 2);
    if (touch.matches) copy.layout.dragmode = false;
    if (meta.replay) copy.frames = replayed(copy.data, meta.replay);
    delete copy.layout.meta;
    copy.data.forEach((trace) => { if (hidden.has(trace.name)) trace.visible = "legendonly"; });
    const config = { displayModeBar: false, responsive: false, doubleClick: "reset", typesetMath: false }; // a $ in a name is one
    if (meta.replay && place.dataset.heard) { // what still plays would draw its paths into the new ones
      Plotly.purge(place);
      delete place.dataset.heard;
    }
    const drawn = Plotly.react(place, { data: copy.data, layout: copy.layout, frames: copy.frames, config });
    if (!place.dataset.heard) {
      place.dataset.heard = "yes";
      place.on("plotly_legendclick", (event) => toggle(event.fullData[event.curveNumber].name));
      place.on("plotly_click", ({ points: [point] }) => {
        if (trials.isLinked && Number.isInteger(point.customdata)) trials.light(point.customdata);
      });
      if (meta.brush) marking.brush(place, meta.brush, () => Boolean(meta.turned) && place.clientWidth < meta.turned.below);
    }
    return drawn;
  };

  // One legend for all figures: what is switched off in one is off in the others that show it.
  const toggle = (name) => {
    if (!hidden.delete(name)) hidden.add(name);
    const has = (trace) => trace.name === name || ((trace.meta || {}).whole || {}).name === name;
    redraw(names.filter((other) => figures[other].data.some(has)));
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
    const meta = figures[name].layout.meta || {};
    const bar = document.getElementById("switch-" + name);
    const group = (title, labels, act, first = 0) => {
      const box = document.createElement("span");
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", title);
      box.append(title + " ");
      labels.forEach((label, i) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = label;
        button.setAttribute("aria-pressed", String(i === first));
        button.addEventListener("click", () => act(i, box));
        box.append(button);
      });
      bar.append(box);
      return box;
    };
    const press = (i, box) => box.querySelectorAll("button").forEach((other, j) => other.setAttribute("aria-pressed", String(i === j)));
    const options = meta.switch || [];
    if (options.length > 1) {
      group(texts.switch, options.map((option) => option.label), (i, box) => {
        chosen[name] = i;
        press(i, box);
        draw(name);
      }, chosenOf(name));
    }
    if (meta.whole) {
      const box = group(texts.scale, [texts.fitted, texts.every_value], (i) => {
        whole = i === 1;
        scales.forEach(([own, other]) => {
          press(i, own);
          const note = document.getElementById("edge-" + other);
          const { edge } = figures[other].layout.meta;
          if (note) note.textContent = whole ? figures[other].layout.meta.whole.edge : edge;
        });
        redraw(scales.map(([, other]) => other));
      });
      scales.push([box, name]);
    }
  };

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
  const away = (name) => Math.abs(document.getElementById("figure-" + name).getBoundingClientRect().top - window.innerHeight / 3);
  let round = 0;
  // Draws figures one after the other, what the reader looks at first; a later call takes over what an earlier one left.
  const redraw = async (some) => {
    some.filter(isOpen).forEach((name) => stale.add(name));
    round += 1;
    const own = round;
    document.documentElement.dataset.settled = "no";
    const order = [...stale].map((name) => [away(name), name]).sort(([a], [b]) => a - b);
    for (const [, name] of order) {
      stale.delete(name);
      await safely(name);
      await new Promise((done) => setTimeout(done)); // the page answers between two figures
      if (own !== round) return;
    }
    document.documentElement.dataset.settled = "yes";
  };
  const all = () => redraw(names);

  // Figures that are folded are drawn when they are opened; a link to something folded opens it, and so does paper.
  const folds = [...document.querySelectorAll("details.more")];
  const inside = (fold) => names.filter((name) => fold.contains(document.getElementById("figure-" + name)));
  const reveal = async () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const fold = target && target.closest("details.more");
    if (!fold) return;
    fold.open = true;
    redraw(inside(fold));
    do { await new Promise((done) => setTimeout(done, 20)); } while (document.documentElement.dataset.settled === "no");
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
      waiting = setTimeout(all, 150);
    });
    screen.addEventListener("change", all);
    trials.listen(() => redraw(names.filter((name) => marking.concerns(figures[name]))));
    folds.forEach((one) => one.addEventListener("toggle", () => { if (one.open && !paper) redraw(inside(one)); }));
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
