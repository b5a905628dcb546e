// A click on a heading sorts the table by it; undefined values stay last.
for (const table of document.querySelectorAll(".sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    heading.querySelector("button")?.addEventListener("click", () => {
      const up = heading.getAttribute("aria-sort") === "descending" || !heading.hasAttribute("aria-sort");
      const value = (row) => row.cells[column].dataset.value;
      const number = (row) => Number(value(row));
      const rows = [...table.tBodies[0].rows];
      const numeric = rows.every((row) => !Number.isNaN(number(row)));
      rows.sort((one, other) => {
        const [first, second] = [value(one), value(other)];
        if (first === "" || second === "") return (first === "") - (second === "");
        const order = numeric ? first - second : first.localeCompare(second);
        return up ? order : -order;
      });
      headings.forEach((each) => each.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      table.tBodies[0].append(...rows);
    });
  });
}
