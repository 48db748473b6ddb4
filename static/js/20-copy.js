// Copy buttons: data-copy holds the text; data-copy-visible takes the command that is shown; data-copy-next the document below.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-visible], [data-copy-next]");
  if (!button) return;
  let text = button.dataset.copy;
  if ("copyVisible" in button.dataset) {
    const shown = [...button.parentElement.querySelectorAll("code")].find((code) => code.offsetParent);
    text = shown?.textContent;
  } else if ("copyNext" in button.dataset) {
    text = button.nextElementSibling?.textContent;
  }
  if (!text) return;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    return;
  }
  button.dataset.copied = "";
  strata.say("✓");
  setTimeout(() => delete button.dataset.copied, 1500);
});
