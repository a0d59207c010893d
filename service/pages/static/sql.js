// The query box: run by Ctrl and Enter, and never twice at once.
"use strict";

const form = document.getElementById("ask");
const running = document.getElementById("running");
document.getElementById("keys").hidden = false;
document.getElementById("query").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  form.requestSubmit(document.getElementById("run"));
});
form.addEventListener("submit", (event) => {
  if (event.submitter?.name === "format") return; // a download leaves the page as it is
  running.textContent = "Running…";
  setTimeout(() => (document.getElementById("run").disabled = true));
});
window.addEventListener("pageshow", () => {
  document.getElementById("run").disabled = false;
  running.textContent = "";
});
document.getElementById("found")?.focus();
