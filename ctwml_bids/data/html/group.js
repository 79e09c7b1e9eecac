// Sorts and filters the table of units; without scripts the table is there all the same.
(() => {
  const table = document.getElementById("table");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const headings = Array.from(table.tHead.rows[0].cells);
  const find = document.getElementById("find");
  const quality = document.getElementById("quality");
  const fazekas = document.getElementById("fazekas-filter");
  const apart = document.getElementById("apart");

  const number = (text) => {
    const value = parseFloat(text.replace("−", "-"));
    return Number.isNaN(value) ? null : value;
  };

  function compare(a, b) {
    const [x, y] = [number(a), number(b)];
    if (x !== null && y !== null && x !== y) return x - y;
    return a.localeCompare(b, undefined, { numeric: true });
  }

  function sort(column) {
    const heading = headings[column];
    const up = heading.getAttribute("aria-sort") !== "ascending";
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const text = new Map(rows.map((row) => [row, row.cells[column].textContent.trim()]));
    rows.sort((a, b) => {
      const [x, y] = [text.get(a), text.get(b)];
      // What is missing stays at the end, whichever way.
      if ((x === "–") !== (y === "–")) return x === "–" ? 1 : -1;
      return up ? compare(x, y) : compare(y, x);
    });
    body.append(...rows);
  }

  function filter() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden =
        !words.every((word) => text.includes(word)) ||
        (quality.value && row.dataset.qc !== quality.value) ||
        (fazekas.value && row.dataset.fazekas !== fazekas.value) ||
        (apart.checked && !("apart" in row.dataset));
      shown += row.hidden ? 0 : 1;
    }
    document.getElementById("shown").textContent = `${shown} of ${rows.length} shown`;
  }

  headings.forEach((heading, column) => heading.addEventListener("click", () => sort(column)));
  [find, quality, fazekas, apart].forEach((input) => input.addEventListener("input", filter));
  filter();
})();
