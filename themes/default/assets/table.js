// Tables that can be sorted and searched. A table works without: its rows are all in the page.
"use strict";

dash.tables = (() => {
  // By the table's id: which column, which way, and what is searched for.
  const states = new Map();
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

  function stateOf(table) {
    if (!states.has(table.id)) states.set(table.id, { column: null, descending: false, query: "" });
    return states.get(table.id);
  }

  function valueOf(row, column, kind) {
    const cell = row.cells[column];
    if (kind === "text") return cell.textContent.trim();
    return cell.dataset.value === "" ? null : Number(cell.dataset.value);
  }

  // What is missing comes last, whichever way.
  function compare(a, b, kind, descending) {
    if (a === null || b === null) return (a === null) - (b === null);
    const order = kind === "text" ? collator.compare(a, b) : a - b;
    return descending ? -order : order;
  }

  function sort(table, state) {
    if (state.column === null) return;
    const kind = table.tHead.rows[0].cells[state.column].dataset.sort;
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => ({ row, value: valueOf(row, state.column, kind) }));
    keyed.sort((a, b) => compare(a.value, b.value, kind, state.descending));
    body.append(...keyed.map((entry) => entry.row));
  }

  function filter(table, state) {
    const wanted = state.query.trim().toLocaleLowerCase();
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const text = `${row.cells[0].textContent} ${row.cells[1]?.textContent ?? ""}`.toLocaleLowerCase();
      row.hidden = wanted !== "" && !text.includes(wanted);
      shown += row.hidden ? 0 : 1;
    }
    return shown;
  }

  function markColumn(table, state) {
    [...table.tHead.rows[0].cells].forEach((cell, column) => {
      const sorted = column === state.column;
      cell.ariaSort = sorted ? (state.descending ? "descending" : "ascending") : null;
    });
  }

  function choose(table, column) {
    const state = stateOf(table);
    const numbers = table.tHead.rows[0].cells[column].dataset.sort === "number";
    // Numbers begin with the largest, which is what one looks for.
    state.descending = state.column === column ? !state.descending : numbers;
    state.column = column;
    markColumn(table, state);
    sort(table, state);
  }

  function addButtons(table) {
    if (table.tHead.querySelector(".sort-button")) return;
    [...table.tHead.rows[0].cells].forEach((cell, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort-button";
      button.textContent = cell.textContent;
      button.addEventListener("click", () => choose(table, column));
      cell.replaceChildren(button);
    });
  }

  function search(input) {
    const table = document.getElementById(input.dataset.searches);
    const note = document.getElementById(`${table.id}-empty`);
    const state = stateOf(table);
    state.query = input.value;
    note.hidden = filter(table, state) > 0;
  }

  // For the tables that the page has now; those it had before stay as they are.
  function adopt() {
    document.querySelectorAll("table[data-sortable]").forEach(addButtons);
    document.querySelectorAll("[data-searches]").forEach(search);
  }

  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-searches]")) search(event.target);
  });

  // The reader's order and search, for tables that came in anew.
  function apply(parent) {
    for (const table of parent.querySelectorAll("table[data-sortable]")) {
      const state = stateOf(table);
      sort(table, state);
      filter(table, state);
    }
  }

  return { adopt, apply };
})();
