// The explorer: one figure over all points with two axes and a colour of the reader's choice.
"use strict";
(() => {
  const source = document.getElementById("explorer-data"), root = document.getElementById("explorer");
  if (!source || !root) return;
  const data = JSON.parse(source.textContent);
  const total = data.points.label.length, MANY = 24, ROWS = 100, BARS = 300;
  const COLORS = data.colours;
  const MARKS = ["circle", "square", "diamond", "triangle-up", "triangle-down", "x", "cross", "star"];
  const columns = new Map(data.columns.map((column) => [column.key, column]));
  const $ = (id) => document.getElementById(`explorer-${id}`);
  const at = (values, i) => (Array.isArray(values) ? values[i] : values);
  const value = (column, i) => at(column.values, i);
  const safe = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const make = (tag, text, kind) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const number = (v) => {
    if (v === null || v === undefined) return "–";
    if (v !== 0 && (Math.abs(v) < 1e-3 || Math.abs(v) >= 1e5)) {
      const [mantissa, power] = v.toExponential(3).split("e");
      return `${Number(mantissa)}×10${[...String(Number(power))].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]).join("")}`;
    }
    return String(Number(v.toPrecision(4)));
  };
  const named = (column) => (column.unit ? `${column.title} (${column.unit})` : column.title);
  const ends = (column, i) => {
    const low = at(column.low, i) ?? null;
    return low === null || data.points.maps[i] === 1 && column.mark === "measured" ? "" : `[${number(low)} to ${number(at(column.high, i))}]`;
  };
  const told = (column, i) => [number(value(column, i)), column.unit, ends(column, i)].filter(Boolean).join(" ");
  const cell = (column, i) => [number(value(column, i)), ends(column, i)].filter(Boolean).join(" ");
  const measured = (i) => (data.points.maps[i] === 1 ? "1 fault map: no interval" : `${data.points.maps[i]} fault maps`);
  const everyOne = [...Array(total).keys()];
  const few = data.series.length <= MANY;
  const state = { brushed: null, chosen: null, dragging: false, rows: ROWS, by: null, up: true };

  // Which points are shown: those of the ticked cases and values, that keep enough, and whose name has the words.
  const shown = () => {
    const ticked = data.filters.map((filter, f) => {
      const boxes = [...root.querySelectorAll(`input[data-filter="${f}"]`)];
      return boxes.some((box) => !box.checked) ? new Set(boxes.filter((b) => b.checked).map((b) => Number(b.value))) : null;
    });
    const words = $("words").value.toLowerCase().split(/\s+/).filter(Boolean);
    const least = $("keeps").value === "" ? null : Number($("keeps").value), kept = columns.get("kept");
    return everyOne.filter((i) =>
      data.filters.every((filter, f) => !ticked[f] || ticked[f].has(filter.at[i])) &&
      words.every((word) => data.points.label[i].toLowerCase().includes(word)) &&
      (least === null || value(kept, i) >= least));
  };

  // Points that no other one beats on the two axes; on a scale without an easy end there is no front.
  const front = (points, x, y) => {
    const place = (i) => [-x.better * value(x, i), -y.better * value(y, i)];
    const found = points.filter((i) => value(x, i) !== null && value(y, i) !== null)
      .map((i) => [...place(i), i]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    let best = Infinity;
    return found.filter((p) => p[1] < best && ((best = p[1]), true)).map((p) => p[2]);
  };

  const errors = (column, points, on, color) => {
    if (!on || !("low" in column)) return { visible: false };
    const away = (end, sign) => points.map((i) => Math.max(0, sign * (at(column[end], i) - value(column, i))) || 0);
    return { type: "data", symmetric: false, array: away("high", 1), arrayminus: away("low", -1), thickness: 1, width: 2, color };
  };

  const hover = (i, x, y, color) => [
    `<b>${safe(data.points.label[i])}</b>`,
    ...[...new Set([x, y, columns.get("score"), color].filter(Boolean))].map((c) => `${safe(c.title)}: ${safe(told(c, i))}`),
    measured(i),
  ].join("<br>");

  const traces = (points, x, y, color) => {
    const groups = few ? data.series.map((_, s) => points.filter((i) => data.points.series[i] === s)) : [points];
    const range = color ? everyOne.map((i) => value(color, i)).filter((v) => v !== null) : [];
    const scale = { colorscale: "Cividis", cmin: Math.min(...range), cmax: Math.max(...range) };
    const join = $("join").checked && few, bars = $("bars").checked;
    return groups.flatMap((group, s) => {
      const mine = group.filter((i) => value(x, i) !== null && value(y, i) !== null);
      if (!mine.length) return [];
      if (join) mine.sort((a, b) => data.points.line[a] - data.points.line[b] || value(x, a) - value(x, b));
      const spread = join ? mine.flatMap((i, n) => (n && data.points.line[i] !== data.points.line[mine[n - 1]] ? [null, i] : [i])) : mine;
      const of = (column) => spread.map((i) => (i === null ? null : value(column, i)));
      const hue = COLORS[s % COLORS.length], symbol = MARKS[(s + Math.floor(s / COLORS.length)) % MARKS.length];
      const thin = color ? ink("--muted") : hue, filled = spread.map((i) => i ?? mine[0]);
      return [{
        type: "scatter", mode: join ? "lines+markers" : "markers", name: few ? safe(data.series[s]) : "points",
        x: of(x), y: of(y), customdata: spread, connectgaps: false,
        text: spread.map((i) => (i === null ? "" : hover(i, x, y, color))), hoverinfo: "text",
        selectedpoints: state.brushed ? spread.flatMap((i, n) => (state.brushed.has(i) ? [n] : [])) : null,
        error_x: errors(x, filled, bars, thin), error_y: errors(y, filled, bars, thin),
        line: { color: thin, width: 1.4 },
        marker: { size: points.length > 1500 ? 5 : 8, symbol, line: { width: 0.7, color: ink("--paper") },
          ...(color ? { color: of(color), ...scale } : { color: hue }) },
      }];
    });
  };

  const axis = (column, log) => ({
    title: { text: safe(named(column)), font: { size: 13 } }, type: log ? "log" : "linear", automargin: true,
    gridcolor: ink("--grid"), linecolor: ink("--muted"), zeroline: false, tickfont: { size: 12 }, exponentformat: "power",
    minexponent: 4,
  });

  const draw = () => {
    const x = columns.get($("x").value), y = columns.get($("y").value), color = columns.get($("color").value);
    const narrow = $("plot").clientWidth < 600;
    if (narrow && few) $("plot").style.height = `${360 + 20 * Math.min(data.series.length, 10)}px`;
    const points = shown(), drawn = traces(points, x, y, color), ends = x.better && y.better;
    $("front").disabled = !ends;
    if (color && drawn.length) Object.assign(drawn[0].marker, { showscale: true,
      colorbar: { title: { text: safe(named(color)), side: "right" }, thickness: 14 } });
    if ($("front").checked && ends) {
      const best = front(points, x, y);
      drawn.push({ type: "scatter", mode: "lines+markers", name: "front", x: best.map((i) => value(x, i)),
        y: best.map((i) => value(y, i)), customdata: best, hoverinfo: "text", text: best.map((i) => hover(i, x, y, color)),
        line: { color: ink("--ink"), width: 1, dash: "dot" },
        marker: { size: 14, symbol: "circle-open", color: ink("--ink"), line: { width: 1.5 } } });
    }
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: ink("--font"), color: ink("--ink"), size: 12 },
      margin: { l: 60, r: 12, t: 12, b: 52 }, hovermode: "closest", dragmode: state.dragging ? "select" : false,
      xaxis: axis(x, $("logx").checked), yaxis: axis(y, $("logy").checked), uirevision: `${x.key} ${y.key}`,
      showlegend: few, legend: narrow ? { orientation: "h", y: -0.2, yanchor: "top", x: 0 } : { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
      hoverlabel: { align: "left", bgcolor: ink("--paper"), bordercolor: ink("--line"), font: { color: ink("--ink"), size: 12 } },
    };
    Plotly.react($("plot"), drawn, layout, { responsive: true, displaylogo: false, displayModeBar: false, doubleClick: "reset" });
    $("plot").classList.toggle("still", !state.dragging);
    $("count").textContent = points.length === total ? `${total} points` : `${points.length} of ${total} points`;
    list(points, [x, y, color]);
  };

  // The points of the figure, or those that were brushed, as a table.
  const list = (points, axes) => {
    const kept = [...new Set([columns.get("score"), ...axes].filter(Boolean))];
    const chosen = points.filter((i) => !state.brushed || state.brushed.has(i));
    if (state.by && kept.includes(state.by)) {
      const sign = state.up ? 1 : -1, last = (i) => value(state.by, i) ?? sign * Infinity;
      chosen.sort((a, b) => sign * (last(a) - last(b)) || a - b);
    }
    const head = $("list").tHead.rows[0], body = $("list").tBodies[0];
    head.replaceChildren(make("th", "Point"), ...kept.map((column) => {
      const title = make("th", named(column), "n");
      title.tabIndex = 0;
      title.title = column.what;
      if (column === state.by) title.setAttribute("aria-sort", state.up ? "ascending" : "descending");
      const sort = () => {
        state.up = state.by === column ? !state.up : true;
        state.by = column;
        list(points, axes);
      };
      title.addEventListener("click", sort);
      title.addEventListener("keydown", (event) => event.key === "Enter" && sort());
      return title;
    }));
    body.replaceChildren(...chosen.slice(0, state.rows).map((i) => {
      const row = make("tr", undefined, i === state.chosen ? "chosen" : ""), first = make("td", undefined, "w");
      row.dataset.point = i;
      const button = make("button", data.points.label[i], "link");
      button.type = "button";
      button.addEventListener("click", () => choose(i));
      first.append(button);
      row.append(first, ...kept.map((column) => make("td", cell(column, i), "n")));
      return row;
    }));
    $("picked").textContent = state.brushed ? `${chosen.length} brushed` : `${chosen.length} shown`;
    $("more").hidden = chosen.length <= state.rows;
    $("more").textContent = `show ${Math.min(ROWS, chosen.length - state.rows)} more of ${chosen.length}`;
  };

  const bars = (split, i) => {
    const sum = split.parts.reduce((s, part) => s + (at(part.values, i) ?? 0), 0), made = make("div", undefined, "split");
    made.append(make("h4", `${split.title}: ${number(sum)} ${split.unit}`));
    for (const part of split.parts) {
      const share = at(part.values, i) ?? 0;
      if (!share) continue;
      const row = make("div", undefined, "bar"), fill = make("span");
      fill.style.width = `${(100 * share) / (sum || 1)}%`;
      fill.style.background = part.color;
      row.append(make("span", part.title), fill, make("span", `${number(share)} (${((100 * share) / (sum || 1)).toFixed(1)} %)`));
      made.append(row);
    }
    return made;
  };

  const table = (heads, rows) => {
    const made = make("table"), head = make("tr"), box = make("div", undefined, "scroll");
    head.append(...heads.map((text, n) => make("th", text, n ? "n" : "")));
    made.createTHead().append(head);
    made.createTBody().append(...rows.map((cells) => {
      const row = make("tr");
      row.append(...cells.map((text, n) => make("td", text, n ? "n" : "w")));
      return row;
    }));
    box.append(made);
    return box;
  };

  // One point: how it is made, what protects its layers, what its costs consist of, every number.
  const choose = (i) => {
    state.chosen = i;
    const changes = data.points.set.map((axis) => axis.options[axis.at[i]]).filter(Boolean);
    const detail = $("detail"), line = [data.command, ...changes].join(" "), code = make("code", line);
    const copy = make("button", "copy"), head = make("div", undefined, "command");
    copy.type = "button";
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(line);
        copy.textContent = "copied";
      } catch {
        getSelection().selectAllChildren(code);
        copy.textContent = "marked: copy it with the keyboard";
      }
    });
    head.append(code, copy);
    const layers = data.layers.rows.filter((layer) => at(layer.planes, i) !== null);
    const numbers = data.columns.map((c) => [c.title, told(c, i), c.mark]).filter((row) => row[1] !== "–");
    detail.replaceChildren(make("h3", data.points.label[i]), make("p", `${columns.get("score").title}: ${told(columns.get("score"), i)}, ${measured(i)}`, "small"), head,
      ...data.splits.filter((split) => split.parts.length).map((split) => bars(split, i)));
    const more = (title, content, open) => {
      const made = make("details");
      made.open = open;
      made.append(make("summary", title), content);
      detail.append(made);
    };
    if (layers.length) more("Plan by layer", table(["Layer", "Weights", "Protected planes"],
      layers.map((l) => [l.name, l.weights.toLocaleString("en"), number(at(l.planes, i))])), true);
    const words = data.words.map((word) => [word.title, word.options[word.at[i]]]).filter((row) => row[1]);
    more("Parameters", table(["Parameter", "Value"], words), true);
    more("All numbers", table(["Field", "Value", "How"], numbers), false);
    detail.hidden = false;
    for (const row of $("list").tBodies[0].rows) row.classList.toggle("chosen", Number(row.dataset.point) === i);
  };

  const option = (key, text) => Object.assign(make("option", text), { value: key });
  const fill = (select, first) => {
    const varied = data.columns.filter((c) => Array.isArray(c.values)), same = data.columns.filter((c) => !Array.isArray(c.values));
    select.append(...first);
    for (const [words, members] of [["differs between points", varied], ["the same in all", same]]) {
      const group = make("optgroup");
      group.label = words;
      group.append(...members.map((c) => option(c.key, named(c))));
      if (members.length) select.append(group);
    }
  };

  const spans = (column) => {
    const values = everyOne.map((i) => value(column, i)).filter((v) => v !== null);
    return Math.min(...values) > 0 && Math.max(...values) >= 20 * Math.min(...values);
  };

  const view = (wanted) => {
    $("x").value = wanted.x;
    $("y").value = wanted.y;
    $("logx").checked = spans(columns.get(wanted.x));
    $("logy").checked = spans(columns.get(wanted.y));
    $("join").checked = wanted.join && few;
    $("bars").checked = wanted.join && total <= BARS;
    $("color").value = wanted.join || wanted.y === "score" ? "" : "score";
    for (const button of $("views").children) button.setAttribute("aria-pressed", button.dataset.view === wanted.name);
    draw();
  };

  const controls = () => {
    fill($("x"), []);
    fill($("y"), []);
    fill($("color"), [option("", few ? "its line" : "nothing")]);
    $("views").append(...data.views.map((wanted) => {
      const button = make("button", wanted.title);
      button.type = "button";
      button.dataset.view = wanted.name;
      button.addEventListener("click", () => view(wanted));
      return button;
    }));
    $("filters").append(...data.filters.map((filter, f) => {
      const set = make("fieldset");
      set.append(make("legend", filter.title), ...filter.options.map((text, n) => {
        const label = make("label"), box = Object.assign(make("input"), { type: "checkbox", checked: true, value: n });
        box.dataset.filter = f;
        box.addEventListener("change", draw);
        label.append(box, ` ${text}`);
        return label;
      }));
      return set;
    }));
    for (const [id, log] of [["x", "logx"], ["y", "logy"], ["color", null]])
      $(id).addEventListener("change", () => {
        if (log) $(log).checked = spans(columns.get($(id).value));
        draw();
      });
    for (const id of ["logx", "logy", "join", "bars", "front"]) $(id).addEventListener("change", draw);
    for (const id of ["words", "keeps"]) $(id).addEventListener("input", draw);
    $("brush").addEventListener("click", () => {
      state.dragging = !state.dragging;
      $("brush").setAttribute("aria-pressed", state.dragging);
      draw();
    });
    $("clear").addEventListener("click", () => {
      Object.assign(state, { brushed: null, dragging: false, rows: ROWS });
      $("brush").setAttribute("aria-pressed", false);
      for (const box of root.querySelectorAll("input[data-filter]")) box.checked = true;
      $("words").value = $("keeps").value = "";
      Plotly.relayout($("plot"), { selections: [], "xaxis.autorange": true, "yaxis.autorange": true });
      draw();
    });
    $("more").addEventListener("click", () => {
      state.rows += ROWS;
      draw();
    });
  };

  const start = () => {
    root.hidden = false;
    controls();
    view(data.views[0] ?? { x: data.columns[0].key, y: "score", join: false });
    $("plot").on("plotly_click", (event) => choose(event.points[0].customdata));
    $("plot").on("plotly_selected", (event) => {
      if (!event) return;
      state.brushed = new Set(event.points.map((p) => p.customdata).filter((i) => i !== null));
      state.rows = ROWS;
      draw();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    for (const link of document.querySelectorAll("a[data-view]")) {
      const wanted = data.views.find((v) => v.name === link.dataset.view);
      link.hidden = !wanted;
      if (wanted) link.addEventListener("click", () => view(wanted));
    }
  };
  start();
})();
