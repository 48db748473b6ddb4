// What a reader of the screen should hear: changed fragments carry data-say, or something in them does.
"use strict";
const strata = {
  say(text) {
    const live = document.querySelector("#live");
    if (live) live.textContent = text;
  },
};
document.addEventListener("htmx:afterSwap", (event) => {
  const swapped = document.querySelector(`#${event.detail.target.id}`);
  const said = swapped?.matches("[data-say]") ? swapped : swapped?.querySelector("[data-say]");
  if (said) strata.say(said.dataset.say);
});
