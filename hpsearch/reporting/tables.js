"use strict";
// Tables: a heading sorts; the table of trials opens to all of them and is filtered; a click on a trial lights it up everywhere.
// `trials` is what the reader has chosen: one trial (`lit`) and those that the filter keeps. Figures and tables show both.
const trials = (() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const texts = read("texts");
  const listeners = [];
  let lit = null; // a trial's number
  let kept = null; // a set of numbers; null: all
  const tell = () => listeners.forEach((listen) => listen());
  const light = (number) => {
    lit = number === lit ? null : number;
    tell();
  };

  const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const SECONDS = { h: 3600, min: 60, s: 1 };
  const plain = (text) => text.replace(/[⁰¹²³⁴⁵⁶⁷⁸⁹]/g, (digit) => SUPERSCRIPTS.indexOf(digit)).replace(/[⁻−]/g, "-");
  // A cell's number: 1,257; 2.5×10⁻⁷; 98.5 % as a share; 3 min 20 s in seconds. NaN for words.
  const amount = (text) => {
    const line = plain(text).replace(/,(?=\d{3})/g, "").trim();
    const times = [...line.matchAll(/([\d.]+)\s(h|min|s)(?![a-z])/g)];
    if (times.length) return times.reduce((sum, [, value, unit]) => sum + Number(value) * SECONDS[unit], 0);
    const found = /^(-?[\d.]+)(?:(?:×10|e\+?)(-?\d+))?(\s?%)?(?=$|\s)/i.exec(line);
    return found ? (Number(found[1]) * 10 ** Number(found[2] || 0)) / (found[3] ? 100 : 1) : NaN;
  };

  // The filter's language: terms with commas between them, each a word or a column, a sign and a value (or several: a|b).
  const QUOTED = '"(?:[^"\\\\]|\\\\.)*"';
  const TERM = new RegExp(`^(${QUOTED}|[^<>=!≤≥"]+?)\\s*(<=|>=|!=|≤|≥|=|<|>)\\s*(.*)$`);
  const pieces = (text, mark) => (text.match(new RegExp(`(?:${QUOTED}|[^${mark}"])+`, "g")) || []).map((piece) => piece.trim()).filter(Boolean);
  const unquoted = (text) => {
    try { return text.startsWith('"') ? JSON.parse(text) : text; } catch { return text; }
  };
  const quoted = (text) => (/^[^,|"<>=!≤≥\s](?:[^,|"<>=!≤≥]*[^,|"<>=!≤≥\s])?$/.test(text) ? text : JSON.stringify(text));
  const same = (a, b) => a.toLowerCase().replace(/_/g, " ") === b.toLowerCase().replace(/_/g, " ");
  const parsed = (text) => {
    const found = TERM.exec(text);
    if (!found) return { text, word: unquoted(text).toLowerCase() };
    const sign = { "≤": "<=", "≥": ">=" }[found[2]] || found[2];
    return { text, name: unquoted(found[1]), sign, values: pieces(found[3], "|").map(unquoted) };
  };
  const near = (a, b) => Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b));
  const holds = (term, cell) => {
    const own = amount(cell);
    const given = term.values.map((value) => {
      const number = amount(value);
      const points = /\s%/.test(cell) && !/%/.test(value) && Math.abs(number) > 1; // 98 for 98 %
      return points ? number / 100 : number;
    });
    const equal = term.values.some((value, i) => value.toLowerCase() === cell.toLowerCase() || near(own, given[i]));
    if (term.sign === "=") return equal;
    if (term.sign === "!=") return !equal;
    return term.sign[0] === "<" ? own < given[0] || (term.sign === "<=" && equal) : own > given[0] || (term.sign === ">=" && equal);
  };

  // One table: its entries (those that a button or the filter adds have no row yet), and what is shown of them in which order.
  const tableOf = (box) => {
    const table = box.querySelector("table");
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    const column = "trial" in table.dataset ? Number(table.dataset.trial) : -1;
    const entry = (cells, row) => ({ cells, row, first: row !== null, trial: column >= 0 && cells[column] !== "" ? Number(cells[column]) : null });
    const entries = [...body.rows].map((row) => entry([...row.cells].map((cell) => cell.textContent), row));
    if (box.dataset.rows) entries.push(...(read("rows")[box.dataset.rows] || []).map((cells) => entry(cells, null)));
    const sorted = { column: -1, sign: 1 };
    let open = false;
    let chosen = null; // entries that the filter keeps; null: all
    let stop = null; // the one row that the Tab key reaches

    const rowOf = (one) => {
      if (one.row === null) {
        one.row = document.createElement("tr");
        one.cells.forEach((text, place) => {
          const cell = one.row.insertCell();
          cell.className = heads[place].className;
          cell.textContent = text;
        });
      }
      if (one.trial !== null && !one.button) {
        one.button = document.createElement("button");
        one.button.type = "button";
        one.button.setAttribute("aria-label", texts.trial.replace("{trial}", one.trial));
        one.button.append(...one.row.cells[column].childNodes);
        one.row.cells[column].append(one.button);
        one.row.dataset.number = one.trial;
      }
      return one.row;
    };
    const compare = (a, b) => {
      const [first, second] = [a.cells[sorted.column], b.cells[sorted.column]];
      if (first === "" || second === "") return (first === "") - (second === ""); // empty cells are last, whichever way
      const [one, other] = [amount(first), amount(second)];
      if (Number.isNaN(one) !== Number.isNaN(other)) return Number.isNaN(one) - Number.isNaN(other); // then words
      return sorted.sign * (Number.isNaN(one) ? first.localeCompare(second) : one - other);
    };
    const inSight = (one) => (chosen ? chosen.has(one) : open || one.first) || (lit !== null && one.trial === lit);
    const show = () => {
      const shown = entries.filter(inSight);
      if (sorted.column >= 0) shown.sort(compare);
      const rows = shown.map(rowOf);
      if (rows.length !== body.rows.length || rows.some((row, i) => row !== body.rows[i])) {
        const focused = document.activeElement;
        body.replaceChildren(...rows);
        if (body.contains(focused)) focused.focus({ preventScroll: true });
      }
      const marked = shown.filter((one) => one.button);
      if (!marked.includes(stop)) stop = marked[0];
      marked.forEach((one) => {
        one.row.classList.toggle("lit", one.trial === lit);
        one.button.setAttribute("aria-pressed", String(one.trial === lit));
        one.button.tabIndex = one === stop ? 0 : -1;
      });
    };
    heads.forEach((head, place) => {
      if (entries.length < 2) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        Object.assign(sorted, { column: place, sign: head.getAttribute("aria-sort") === "ascending" ? -1 : 1 });
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", sorted.sign > 0 ? "ascending" : "descending");
        show();
      });
    });
    body.addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-number]");
      if (!row || (String(getSelection()) && event.target.tagName !== "BUTTON")) return; // who selects text reads on
      stop = entries.find((one) => one.row === row);
      light(Number(row.dataset.number));
    });
    body.addEventListener("keydown", (event) => {
      const rows = [...body.querySelectorAll("tr[data-number] button")];
      const at = rows.indexOf(event.target);
      const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
      if (at < 0 || next === undefined) return;
      event.preventDefault();
      stop = entries.find((one) => one.button === (rows[next] || event.target));
      show();
      stop.button.focus();
    });
    listeners.push(show);
    show();
    const openAll = () => {
      open = true;
      box.classList.add("open");
      show();
    };
    return { box, column, heads, entries, openAll, show: (some) => { chosen = some; show(); } };
  };

  const button = (text, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", act);
    return made;
  };
  const element = (tag, name, ...inside) => {
    const made = document.createElement(tag);
    made.className = name;
    made.append(...inside);
    return made;
  };

  const tables = [...document.querySelectorAll(".scroll")].filter((box) => box.querySelector("table")).map(tableOf);
  const listed = tables.find((one) => one.box.dataset.kept); // the table of all trials
  const field = document.createElement("input");
  const heard = element("p", "unseen"); // what screen readers say
  heard.setAttribute("role", "status");
  let problem = "";

  const terms = () => pieces(field.value, ",").map(parsed);
  const columnOf = (name) => listed.heads.findIndex((head) => same(head.textContent, name));
  const wrong = (term) => {
    if (term.word !== undefined) return "";
    if (columnOf(term.name) < 0) return texts.no_column.replace("{name}", term.name);
    const ordered = term.sign[0] === "<" || term.sign[0] === ">";
    return ordered && !(term.values.length === 1 && !Number.isNaN(amount(term.values[0]))) ? texts.number_needed.replace("{term}", term.text) : "";
  };
  const matches = (one) => (term) =>
    term.word !== undefined ? one.cells.some((cell) => cell.toLowerCase().includes(term.word)) : holds(term, one.cells[columnOf(term.name)]);
  const filter = () => {
    const wanted = terms();
    problem = wanted.map(wrong).find(Boolean) || "";
    const asked = wanted.filter((term) => !wrong(term));
    const some = asked.length ? new Set(listed.entries.filter((one) => asked.every(matches(one)))) : null;
    kept = some && new Set([...some].map((one) => one.trial));
    field.setAttribute("aria-invalid", String(Boolean(problem)));
    listed.show(some);
    tell();
  };
  const conditions = (name, texts_) => {
    const others = terms().filter((term) => term.word !== undefined || !same(term.name, name)).map((term) => term.text);
    field.value = [...others, ...texts_].join(", ");
    filter();
  };
  const clear = () => {
    field.value = "";
    filter();
  };
  const count = () => listed.box.dataset.kept.replace("{kept}", kept.size.toLocaleString("en"));

  // The bar at the window's lower end says what is chosen, wherever the reader is.
  const bar = element("div", "bar");
  const said = () => {
    const one = listed && listed.entries.find((entry) => entry.trial === lit);
    const known = one ? listed.heads.map((head, place) => [head.textContent, one.cells[place]]) : [];
    return { name: texts.trial.replace("{trial}", lit), values: known.filter(([, text], place) => text && place !== listed.column) };
  };
  const sayChosen = () => {
    const parts = [];
    const words = [];
    if (problem) words.push(problem);
    if (kept) {
      parts.push(element("p", "", element("b", "", count()), ` ${field.value} `, button(texts.clear_filter, clear)));
      words.push(count());
    }
    if (lit !== null) {
      const { name, values } = said();
      const line = element("p", "", element("b", "", name), " ");
      values.forEach(([head, text]) => line.append(element("span", "", `${head} `, element("b", "", text)), " "));
      line.append(button(texts.clear_trial, () => light(lit)));
      parts.push(line);
      words.push([name, ...values.map((pair) => pair.join(" "))].join(", "));
    }
    bar.replaceChildren(...parts);
    bar.hidden = !parts.length;
    heard.textContent = words.join(". ");
    if (listed) listed.count.textContent = problem || (kept ? count() : "");
  };
  const begin = () => {
    document.querySelector("main").prepend(bar, heard);
    if (listed) {
      listed.count = element("span", "count");
      Object.assign(field, { type: "search", id: "filter", placeholder: listed.box.dataset.example, autocomplete: "off", spellcheck: false });
      field.addEventListener("input", filter);
      const label = element("label", "", texts.filter);
      label.htmlFor = field.id;
      listed.box.before(element("div", "filter", label, field, listed.count));
      if (listed.box.dataset.more) {
        const more = element("p", "switch", button(listed.box.dataset.more, () => {
          more.remove();
          listed.openAll();
          listed.box.focus();
        }));
        listed.box.after(more);
      }
    }
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      if (lit !== null) light(lit);
      else if (kept) clear();
    });
    listeners.unshift(sayChosen);
    sayChosen();
  };
  begin();
  return {
    light,
    conditions,
    quoted,
    amount,
    listen: (act) => listeners.push(act),
    get lit() { return lit; },
    get kept() { return kept; },
    get name() { return texts.trial.replace("{trial}", lit); },
    conditionsOn: (name) => (listed ? terms().filter((term) => term.word === undefined && same(term.name, name) && !wrong(term)) : []),
    isLinked: read("marks").linked,
  };
})();
