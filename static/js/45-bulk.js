// Ticked rows: kept for this repository while the list is sorted, filtered and turned over; shift extends; the bar tells.
{
  const bulk = document.querySelector(".bulk");
  const key = `chosen:${document.querySelector("[data-chosen]")?.dataset.chosen}`;
  const read = () => new Set(JSON.parse(sessionStorage.getItem(key) ?? "[]"));
  const boxes = () => [...document.querySelectorAll(`.sel input[form="choose"]:not([disabled])`)];
  let last = null;

  const show = (chosen) => {
    const here = boxes();
    for (const box of here) box.checked = chosen.has(box.value);
    const ticked = here.filter((box) => box.checked).length;
    for (const all of document.querySelectorAll("[data-select-all]")) {
      all.hidden = false;
      all.checked = here.length > 0 && ticked === here.length;
      all.indeterminate = ticked > 0 && ticked < here.length;
    }
    bulk.hidden = chosen.size === 0;
    for (const part of bulk.querySelectorAll("[data-one]")) {
      part.textContent = chosen.size === 1 ? part.dataset.one : part.dataset.many.replace("{n}", chosen.size);
    }
  };
  const keep = (chosen) => {
    sessionStorage.setItem(key, JSON.stringify([...chosen]));
    show(chosen);
  };
  if (bulk) {
    document.addEventListener("click", (event) => {
      const box = event.target.closest(`.sel input[form="choose"]`);
      if (!box) return;
      const here = boxes();
      const [from, to] = [here.indexOf(last), here.indexOf(box)].sort((a, b) => a - b);
      const range = event.shiftKey && from >= 0 ? here.slice(from, to + 1) : [box];
      const chosen = read();
      for (const each of range) chosen[box.checked ? "add" : "delete"](each.value);
      last = box;
      keep(chosen);
    });
    document.addEventListener("change", (event) => {
      if (!event.target.matches("[data-select-all]")) return;
      const chosen = read();
      for (const box of boxes()) chosen[event.target.checked ? "add" : "delete"](box.value);
      keep(chosen);
    });
    document.addEventListener("htmx:afterSwap", () => show(read()));
    bulk.querySelector("[data-clear]").addEventListener("click", () => keep(new Set()));
    const form = document.querySelector("#choose");
    form.addEventListener("formdata", ({ formData }) => {
      const sent = new Set(formData.getAll("tag"));
      for (const value of read()) if (!sent.has(value)) formData.append(bulk.dataset.field, value);
    });
    show(read());
  } else if (key !== "chosen:undefined") sessionStorage.removeItem(key);
}
