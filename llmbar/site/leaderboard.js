"use strict";
(() => {
  const table = document.querySelector("table");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...body.rows];
  const ranked = new Map(rows.map((row, place) => [row, place]));
  const filter = document.getElementById("filter");
  const toggles = [...document.querySelectorAll("[data-source][type=checkbox]")];
  const byName = new Intl.Collator("en", { numeric: true }).compare;

  // Missing values stay last in either direction; equal ones keep their rank's order.
  function compare(column, text, sign) {
    return (one, other) => {
      const [a, b] = [one, other].map((row) => row.cells[column].dataset.value);
      if (!a || !b) return !a - !b || ranked.get(one) - ranked.get(other);
      return sign * (text ? byName(a, b) : a - b) || ranked.get(one) - ranked.get(other);
    };
  }

  // The first click on a column shows its better end first, the next one turns it round.
  function sort(column) {
    const head = heads[column];
    const text = head.classList.contains("text");
    const first = text || head.dataset.better === "low" ? "ascending" : "descending";
    const second = first === "ascending" ? "descending" : "ascending";
    const direction = head.getAttribute("aria-sort") === first ? second : first;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", direction);
    body.append(...[...rows].sort(compare(column, text, direction === "ascending" ? 1 : -1)));
  }

  function show() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hidden = new Set(toggles.filter((box) => !box.checked).map((box) => box.dataset.source));
    let shown = 0;
    for (const row of rows) {
      const name = `${row.cells[1].dataset.value} ${row.cells[2].dataset.value}`.toLowerCase();
      row.hidden = hidden.has(row.dataset.source) || !words.every((word) => name.includes(word));
      shown += !row.hidden;
    }
    document.getElementById("nothing").hidden = shown > 0;
    document.getElementById("status").textContent = `${shown} of ${rows.length} rows`;
  }

  // Both names stay in sight while the rest scrolls: the second begins where the first ends.
  function pin() {
    table.style.setProperty("--judge-width", `${heads[1].offsetWidth}px`);
  }

  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    button.disabled = false;
    button.addEventListener("click", () => sort(column));
  });
  filter.addEventListener("input", show);
  toggles.forEach((box) => box.addEventListener("change", show));
  document.querySelector(".controls").hidden = false;
  window.addEventListener("resize", pin);
  pin();
  show();
})();
