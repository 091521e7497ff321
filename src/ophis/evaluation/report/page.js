// Sorts a table by the column whose heading is pressed; a second press turns the order round.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    heading.addEventListener("click", () => {
      const number = heading.classList.contains("n");
      const before = heading.getAttribute("aria-sort");
      const first = number ? "descending" : "ascending";
      const order = before === first ? (number ? "ascending" : "descending") : first;
      const sign = order === "ascending" ? 1 : -1;
      const value = (row) => {
        const text = row.cells[column].textContent;
        return number ? parseFloat(text.replace(/[,%+]/g, "").replace("−", "-")) : text;
      };
      const rows = [...table.tBodies[0].rows];
      rows.sort((x, y) => {
        const [p, q] = [value(x), value(y)];
        return sign * (number ? p - q : p.localeCompare(q));
      });
      table.tBodies[0].append(...rows);
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", order);
    });
  });
}
