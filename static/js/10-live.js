// What a reader of the screen should hear: changed fragments carry data-say.
"use strict";
const strata = {
  say(text) {
    const live = document.querySelector("#live");
    if (live) live.textContent = text;
  },
};
document.addEventListener("htmx:afterSwap", (event) => {
  const swapped = document.querySelector(`#${event.detail.target.id}`);
  if (swapped?.dataset.say) strata.say(swapped.dataset.say);
});
