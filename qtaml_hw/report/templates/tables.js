// Tables that sort by a click on a heading and filter by what is typed; without a script they are tables all the same.
"use strict";
(() => {
  const UP = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻", DOWN = "0123456789-";
  const FEW = 8;

  // What a cell sorts by: its first number (1,234 · 2.5×10⁻³ · 91.0 to 93.6), or its words; a dash comes last.
  const worth = (text) => {
    const found = /^[≥≤<>]?\s*([+-]?[\d,]*\.?\d+(?:e[+-]?\d+)?)(?:×10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+))?/i.exec(text);
    if (!found) return text === "–" || text === "" ? null : text.toLowerCase();
    const power = [...(found[2] || "")].map((c) => DOWN[UP.indexOf(c)]).join("");
    return Number(found[1].replaceAll(",", "")) * 10 ** Number(power || 0);
  };

  const compare = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
    return typeof a === "number" ? -1 : 1;
  };

  const sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    const fixed = [...body.rows].filter((row) => row.cells[0].textContent === "sum");
    heads.forEach((head, column) => {
      const sort = () => {
        const up = head.getAttribute("aria-sort") !== "ascending", sign = up ? 1 : -1;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = [...body.rows].filter((row) => !fixed.includes(row));
        const keyed = rows.map((row, n) => [worth(row.cells[column].textContent.trim()), n, row]);
        keyed.sort((a, b) => (a[0] === null || b[0] === null ? compare(a[0], b[0]) : sign * compare(a[0], b[0])) || a[1] - b[1]);
        body.append(...keyed.map((k) => k[2]), ...fixed);
      };
      head.tabIndex = 0;
      head.title = "sort by this column";
      head.addEventListener("click", sort);
      head.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        sort();
      });
    });
  };

  const searchable = (table) => {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < FEW) return;
    const bar = document.createElement("p"), input = document.createElement("input"), count = document.createElement("output");
    bar.className = "search";
    input.type = "search";
    input.placeholder = "search this table";
    input.setAttribute("aria-label", "search this table");
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
    });
    bar.append(input, count);
    table.parentElement.before(bar);
  };

  for (const table of document.querySelectorAll("main table.sorts")) {
    sortable(table);
    searchable(table);
  }
})();
