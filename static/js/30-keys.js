// "/" goes to the search, on a phone to the filter of the page; Escape and a click elsewhere close what is open.
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, textarea, select")) {
    const field = [...document.querySelectorAll("#search, #f-name")].find((input) => input.offsetParent);
    if (field) {
      event.preventDefault();
      field.focus();
    }
  }
  if (event.key === "Escape") {
    document.querySelector("#found")?.replaceChildren();
    document.querySelectorAll("details.menu[open]").forEach((menu) => {
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  }
});
document.addEventListener("click", (event) => {
  if (!event.target.closest(".site-search")) document.querySelector("#found")?.replaceChildren();
  document.querySelectorAll("details.menu[open]").forEach((menu) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
});
