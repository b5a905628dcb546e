// A choice leaves the runs that have it; the same choices hold wherever runs are shown.
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
