// The server renders data-theme from a cookie; here a click is followed at once and kept by the same form.
document.querySelectorAll(".theme-form").forEach((form) => {
  form.querySelector("button").hidden = true;
  form.addEventListener("change", () => {
    const theme = new FormData(form).get("theme");
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    fetch(form.action, { method: "POST", body: new FormData(form), redirect: "manual" });
  });
});
