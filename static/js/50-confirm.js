// A dangerous button works once the name beside it is typed; without JavaScript the server asks for it.
document.querySelectorAll("[data-confirm]").forEach((field) => {
  const button = field.form.querySelector("button[type=submit]");
  if (button.disabled) return;
  const follow = () => {
    button.disabled = field.value.trim() !== field.dataset.confirm;
  };
  field.addEventListener("input", follow);
  follow();
});
