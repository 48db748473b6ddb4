// A part of the page that could not be had is never left as it was in silence.
htmx.config.timeout = 30_000;
let unanswered = null;
// The same address as a whole page shows what went wrong; it replaces this entry, as "back" would only fail again.
document.addEventListener("htmx:responseError", ({ detail }) => {
  if (detail.requestConfig.verb === "get") location.replace(detail.pathInfo.finalRequestPath);
});
for (const name of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(name, ({ detail }) => {
    unanswered = detail;
    document.querySelector("#unanswered").hidden = false;
  });
}
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.successful) document.querySelector("#unanswered").hidden = true;
});
document.querySelector("#unanswered button").addEventListener("click", () => {
  const { elt, pathInfo } = unanswered;
  document.querySelector("#unanswered").hidden = true; // shown anew, it is also read out anew
  elt.focus();
  if (elt.isConnected) htmx.ajax("get", pathInfo.requestPath, { source: elt }).catch(() => {}); // the events tell
  else location.replace(pathInfo.finalRequestPath);
});
