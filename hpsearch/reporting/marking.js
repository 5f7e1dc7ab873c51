"use strict";
// What the reader has chosen, in any figure: points carry their trial's number in `customdata`, so no figure needs code of its own.
const marking = (() => {
  const at = (values, places) => values && places.map((place) => (place === null ? null : values[place]));
  // The places of a trial's points in a trace; where they are a line, gaps part what does not hang together.
  const placesOf = (trace, wanted) => {
    const found = [];
    trace.customdata.forEach((number, place) => {
      if (!wanted(number)) return;
      if (found.length && found[found.length - 1] !== place - 1) found.push(null);
      found.push(place);
    });
    return found;
  };
  const isLine = (trace) => trace.type !== "bar" && !(trace.mode || "").includes("markers");

  const bright = (trace, number, color) => {
    const places = placesOf(trace, (other) => other === number);
    const single = places.filter((place) => place !== null);
    if (!single.length) return null;
    const same = { type: trace.type || "scatter", xaxis: trace.xaxis, yaxis: trace.yaxis, hoverinfo: "skip", cliponaxis: false };
    if (trace.type === "bar") {
      const bars = { x: at(trace.x, single), y: at(trace.y, single), base: at(trace.base, single) };
      return { ...same, ...bars, width: trace.width, orientation: trace.orientation, textposition: "none", marker: { color } };
    }
    if (isLine(trace)) {
      const line = { ...trace.line, color, width: Math.max(4, ((trace.line || {}).width || 0) + 1.5) };
      return { ...same, x: at(trace.x, places), y: at(trace.y, places), mode: "lines", line };
    }
    const ring = { symbol: "circle-open", size: Math.max(20, trace.marker.size + 8), color, line: { width: 3.5, color } };
    return { ...same, x: at(trace.x, single), y: at(trace.y, single), mode: "markers", marker: ring };
  };

  // Fades what the filter leaves out, in place; of lines returns the faded part as a trace.
  const faded = (trace, kept, color) => {
    if (trace.visible === false) return null;
    const isKept = trace.customdata.map((number) => number === null || kept.has(number));
    if (!isLine(trace)) {
      trace.selectedpoints = isKept.flatMap((keep, place) => (keep ? [place] : []));
      trace.unselected = { marker: { opacity: 0.1 } };
      return null;
    }
    const rest = { ...trace, y: trace.y.map((value, place) => (isKept[place] ? null : value)), showlegend: false, hoverinfo: "skip" };
    delete rest.hovertemplate;
    trace.y = trace.y.map((value, place) => (isKept[place] ? value : null));
    return { ...rest, opacity: 0.5, line: { ...trace.line, color, width: 1 } };
  };

  // Marks the chosen trials in a figure's data.
  const mark = (data, colors) => {
    if (!trials.isLinked) return;
    const own = data.filter((trace) => trace.customdata);
    if (trials.kept) data.unshift(...own.map((trace) => faded(trace, trials.kept, colors.faded)).filter(Boolean));
    if (trials.lit === null) return;
    const lit = own.map((trace) => bright(trace, trials.lit, colors.lit)).filter(Boolean);
    lit.forEach((trace, i) => Object.assign(trace, { name: trials.name, legendgroup: "lit", showlegend: i === 0, legendrank: 2000 }));
    data.push(...lit);
  };
  const concerns = (figure) => figure.data.some((trace) => trace.customdata);

  // Brushing: a range dragged along an axis of parallel coordinates becomes a condition of the filter.
  const REACH = 22; // pixels beside an axis
  const CLICK = 5; // pixels that are no drag yet
  const placeOf = (axis, i) => {
    const last = axis.choices.length - 1;
    return last ? i / last : 0.5;
  };
  const valueAt = ({ ends: [low, high], log }, fraction) =>
    log ? Math.exp(Math.log(low) + fraction * (Math.log(high) - Math.log(low))) : low + fraction * (high - low);
  const fractionOf = ({ ends: [low, high], log }, value) =>
    low === high ? 0.5 : log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  const condition = (axis, low, high) => {
    const name = trials.quoted(axis.name);
    if (high < -0.08) return [`${name} = ""`]; // below the axis: trials without the hyperparameter
    if (axis.choices) {
      const inside = axis.choices.filter((_, i) => placeOf(axis, i) >= low - 0.03 && placeOf(axis, i) <= high + 0.03);
      return inside.length ? [`${name} = ${inside.map(trials.quoted).join("|")}`] : [];
    }
    const bounds = [[low, low > 0.005], [high, high < 0.995]].map(([at_, isBound]) => [valueAt(axis, at_), isBound]);
    if (bounds[0][0] > bounds[1][0]) bounds.reverse();
    return bounds.flatMap(([value, isBound], i) => (isBound ? [`${name} ${i ? "<=" : ">="} ${Number(value.toPrecision(3))}`] : []));
  };
  // Where the filter's conditions lie on an axis: [from, to] as fractions.
  const spans = (axis) => {
    const terms = trials.conditionsOn(axis.name);
    if (!terms.length) return [];
    if (terms.some((term) => term.values.length === 0 || term.values[0] === "")) return [[-0.22, -0.14]];
    if (axis.choices) {
      const chosen = terms.flatMap((term) => (term.sign === "=" ? term.values.map((value) => value.toLowerCase()) : []));
      return axis.choices.flatMap((choice, i) => (chosen.includes(choice.toLowerCase()) ? [[placeOf(axis, i) - 0.04, placeOf(axis, i) + 0.04]] : []));
    }
    const [least, most] = axis.ends[0] <= axis.ends[1] ? [0, 1] : [1, 0];
    const numeric = terms.filter((term) => !Number.isNaN(trials.amount(term.values[0]))); // another axis of this name may have words
    if (!numeric.length) return [];
    const span = [0, 1];
    numeric.forEach((term) => {
      const at_ = fractionOf(axis, trials.amount(term.values[0]));
      if (term.sign[0] !== "<" && term.sign !== "!=") span[least] = at_;
      if (term.sign[0] !== ">" && term.sign !== "!=") span[most] = at_;
    });
    return [span[0] === span[1] ? [span[0] - 0.01, span[1] + 0.01] : span];
  };
  const shapes = (axes, color) =>
    axes.flatMap((axis, i) =>
      spans(axis).map(([y0, y1]) => ({ type: "rect", x0: i - 0.07, x1: i + 0.07, y0, y1, fillcolor: color, opacity: 0.35, line: { width: 0 } })));

  const brush = (place, axes, isTurned) => {
    const spot = (event) => {
      const { xaxis, yaxis } = place._fullLayout;
      const box = place.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left - xaxis._offset, event.clientY - box.top - yaxis._offset];
      const [across, along] = isTurned() ? [-yaxis.p2l(y), xaxis.p2l(x)] : [xaxis.p2l(x), yaxis.p2l(y)];
      const i = Math.round(across);
      const away = isTurned() ? Math.abs(yaxis.l2p(-i) - y) : Math.abs(xaxis.l2p(i) - x);
      return axes[i] && away < REACH ? { i, along } : null;
    };
    place.addEventListener("pointerdown", (down) => {
      const from = down.pointerType === "touch" || down.button ? null : spot(down);
      if (!from) return;
      const shade = document.createElement("div");
      shade.className = "brush";
      const box = place.getBoundingClientRect();
      const length = (event) => (isTurned() ? event.clientX - down.clientX : event.clientY - down.clientY);
      const move = (event) => {
        const [start, size] = isTurned() ? [down.clientX - box.left, length(event)] : [down.clientY - box.top, length(event)];
        const span = { start: `${Math.min(start, start + size)}px`, size: `${Math.abs(size)}px` };
        const { xaxis, yaxis } = place._fullLayout;
        const pole = isTurned() ? yaxis._offset + yaxis.l2p(-from.i) - 8 : xaxis._offset + xaxis.l2p(from.i) - 8;
        const look = isTurned()
          ? { left: span.start, width: span.size, top: `${pole}px`, height: "16px" }
          : { top: span.start, height: span.size, left: `${pole}px`, width: "16px" };
        Object.assign(shade.style, look);
        if (!shade.isConnected && Math.abs(size) > CLICK) place.append(shade);
      };
      const up = (event) => {
        window.removeEventListener("pointermove", move);
        shade.remove();
        if (Math.abs(length(event)) <= CLICK) return;
        const { xaxis, yaxis } = place._fullLayout;
        const to = isTurned() ? xaxis.p2l(event.clientX - box.left - xaxis._offset) : yaxis.p2l(event.clientY - box.top - yaxis._offset);
        trials.conditions(axes[from.i].name, condition(axes[from.i], Math.min(from.along, to), Math.max(from.along, to)));
      };
      window.addEventListener("pointermove", move);
      window.addEventListener("pointerup", up, { once: true });
    });
  };
  return { mark, concerns, brush, shapes };
})();
