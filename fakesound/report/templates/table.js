// A click on a heading sorts the table by it; undefined values come last.
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
// A choice hides all runs that do not match it.
const facts = new Map([...document.querySelectorAll("[data-facts]")]
  .map((row) => [row.dataset.run, JSON.parse(row.dataset.facts)]));
const forms = [...document.querySelectorAll("form[data-target]")];
for (const form of forms) {
  form.addEventListener("change", () => {
    const chosen = [...new FormData(form)].filter(([, value]) => value !== "");
    const fits = (run) => chosen.every(([name, value]) => facts.get(run)[name] === value);
    for (const item of document.querySelectorAll("[data-run]")) {
      item.toggleAttribute("hidden", !fits(item.dataset.run));
    }
    const left = [...facts.keys()].filter(fits).length;
    for (const other of forms) {
      for (const [name, value] of new FormData(form)) other.elements[name].value = value;
      other.querySelector("output").textContent = chosen.length ? `${left} of ${facts.size} runs` : "";
    }
  });
}
document.getElementById("reference")?.addEventListener("change", (event) => {
  for (const part of document.querySelectorAll("[data-reference]")) {
    part.hidden = part.dataset.reference !== event.target.value;
  }
});
