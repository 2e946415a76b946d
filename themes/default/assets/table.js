// Tables that can be sorted, searched and filtered by status, by pointer or by keys. A table works without:
// its rows are all in the page. One table of the page may keep its state in the address (`data-in-address`),
// so that a link to it shows what the reader saw: `?sort=-score&status=critical&q=route`.
"use strict";

dash.tables = (() => {
  // By the table's id: which column, which way, what is searched for, and which statuses are shown.
  const states = new Map();
  // Made when first asked for, which takes a while.
  let collator;
  const compareTexts = (a, b) => (collator ??= new Intl.Collator(undefined, { numeric: true, sensitivity: "base" })).compare(a, b);
  const none = () => ({ column: null, descending: false, query: "", statuses: new Set(), all: false });
  // Rows shown until the reader asks for all: what a screen cannot hold only makes sorting slow.
  const most = 100;
  const chips = (table) => [...document.querySelectorAll(`[data-filters="${table.id}"] [data-status]`)];
  const columns = (table) => [...table.tHead.rows[0].cells];

  function stateOf(table) {
    if (!states.has(table.id)) states.set(table.id, fromAddress(table));
    return states.get(table.id);
  }

  function fromAddress(table) {
    const state = none();
    if (!("inAddress" in table.dataset)) return state;
    const wanted = new URLSearchParams(location.search);
    const sort = wanted.get("sort") ?? "";
    const column = columns(table).findIndex((cell) => cell.dataset.key === sort.replace(/^-/, ""));
    if (sort && column >= 0) Object.assign(state, { column, descending: sort.startsWith("-") });
    state.query = wanted.get("q") ?? "";
    const known = (status) => chips(table).some((chip) => chip.dataset.status === status);
    state.statuses = new Set((wanted.get("status") ?? "").split(",").filter(known));
    state.all = wanted.get("rows") === "all";
    return state;
  }

  function toAddress(table, state) {
    if (!("inAddress" in table.dataset)) return;
    const address = new URL(location.href);
    const put = (name, value) => (value ? address.searchParams.set(name, value) : address.searchParams.delete(name));
    const key = columns(table)[state.column]?.dataset.key;
    put("sort", key && (state.descending ? `-${key}` : key));
    put("status", [...state.statuses].join(","));
    put("q", state.query.trim());
    put("rows", state.all && "all");
    history.replaceState(history.state, "", address);
  }

  function valueOf(row, column, kind) {
    const cell = row.cells[column];
    if (kind === "text") return cell.textContent.trim();
    return cell.dataset.value === "" ? null : Number(cell.dataset.value);
  }

  // What is missing comes last, whichever way.
  function compare(a, b, kind, descending) {
    if (a === null || b === null) return (a === null) - (b === null);
    const order = kind === "text" ? compareTexts(a, b) : a - b;
    return descending ? -order : order;
  }

  function sort(table, state) {
    if (state.column === null) return;
    const kind = columns(table)[state.column].dataset.sort;
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => ({ row, value: valueOf(row, state.column, kind) }));
    keyed.sort((a, b) => compare(a.value, b.value, kind, state.descending));
    body.append(...keyed.map((entry) => entry.row));
  }

  // Returns how many rows fit the search and the statuses; the first of them are shown.
  function filter(table, state) {
    const wanted = state.query.trim().toLocaleLowerCase();
    let found = 0;
    for (const row of table.tBodies[0].rows) {
      const other = state.statuses.size > 0 && !state.statuses.has(row.dataset.status);
      const text = `${row.cells[0].textContent} ${row.cells[1]?.textContent ?? ""}`;
      const fits = !other && (wanted === "" || text.toLocaleLowerCase().includes(wanted));
      found += fits ? 1 : 0;
      row.hidden = !fits || (found > most && !state.all);
    }
    return found;
  }

  function count(table, state, found) {
    const note = document.getElementById(`${table.id}-count`);
    if (!note) return;
    const rows = table.tBodies[0].rows.length;
    const shown = state.all ? found : Math.min(found, most);
    note.textContent = shown < rows ? `${shown === 0 ? "None" : shown} of ${rows} shown` : "";
    document.querySelector(`[data-shows-all="${table.id}"]`).hidden = shown === found;
  }

  function markColumn(table, state) {
    columns(table).forEach((cell, column) => {
      const sorted = column === state.column;
      cell.ariaSort = sorted ? (state.descending ? "descending" : "ascending") : null;
    });
  }

  function markTools(table, state) {
    const input = document.querySelector(`[data-searches="${table.id}"]`);
    if (input && input.value !== state.query) input.value = state.query;
    for (const chip of chips(table)) chip.ariaPressed = String(state.statuses.has(chip.dataset.status));
  }

  // Shows what the state says, in the page and in the address.
  function show(table, state) {
    markTools(table, state);
    count(table, state, filter(table, state));
    toAddress(table, state);
  }

  function choose(table, column) {
    const state = stateOf(table);
    const numbers = columns(table)[column].dataset.sort === "number";
    // Numbers begin with the largest, which is what one looks for.
    state.descending = state.column === column ? !state.descending : numbers;
    state.column = column;
    markColumn(table, state);
    sort(table, state);
    filter(table, state);
    toAddress(table, state);
  }

  // For a table that came with the page or after it. One that was there before stays as it is.
  function adoptTable(table) {
    if (!table.tHead.querySelector(".sort-button")) {
      const state = stateOf(table);
      columns(table).forEach((cell, column) => {
        if (!cell.dataset.sort) return;
        const button = document.createElement("button");
        button.type = "button";
        button.className = "sort-button";
        button.textContent = cell.textContent;
        button.addEventListener("click", () => choose(table, column));
        cell.replaceChildren(button);
      });
      markColumn(table, state);
      markTools(table, state);
      sort(table, state);
    }
    count(table, stateOf(table), filter(table, stateOf(table)));
  }

  function adopt() {
    document.querySelectorAll("table[data-sortable]").forEach(adoptTable);
  }

  // The reader's order and filters, for tables that came in anew.
  function apply(parent) {
    for (const table of parent.querySelectorAll("table[data-sortable]")) {
      const state = stateOf(table);
      sort(table, state);
      filter(table, state);
    }
  }

  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-searches]")) return;
    const table = document.getElementById(event.target.dataset.searches);
    const state = stateOf(table);
    state.query = event.target.value;
    show(table, state);
  });

  document.addEventListener("click", (event) => {
    const all = event.target.closest("[data-shows-all]");
    if (all) {
      const table = document.getElementById(all.dataset.showsAll);
      stateOf(table).all = true;
      show(table, stateOf(table));
    }
    const chip = event.target.closest("[data-filters] [data-status]");
    if (!chip) return;
    const table = document.getElementById(chip.closest("[data-filters]").dataset.filters);
    const { statuses } = stateOf(table);
    if (!statuses.delete(chip.dataset.status)) statuses.add(chip.dataset.status);
    show(table, stateOf(table));
  });

  // Arrows go from row to row, `/` to the search, Escape empties it; Enter is the link's own.
  function step(event) {
    const row = event.target.closest("tbody tr");
    const table = row?.closest("[data-in-address]") ?? document.getElementById(event.target.dataset?.searches ?? "");
    if (!table) return;
    const links = [...table.querySelectorAll("tbody tr:not([hidden]) > th a")];
    const at = links.findIndex((link) => link.closest("tr") === row);
    const places = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 };
    if (!row && event.key !== "ArrowDown") return;
    if (!(event.key in places)) return;
    event.preventDefault();
    const search = document.querySelector(`[data-searches="${table.id}"]`);
    (links[Math.min(places[event.key], links.length - 1)] ?? search)?.focus();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const writes = event.target.closest("input, textarea, select, [contenteditable]");
    const search = document.querySelector("[data-searches]");
    if (event.key === "/" && !writes && search) {
      event.preventDefault();
      search.focus();
      search.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Escape" && event.target === search) {
      search.value = "";
      search.dispatchEvent(new Event("input", { bubbles: true }));
    } else step(event);
  });

  return { adopt, apply };
})();
