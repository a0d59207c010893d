// Operators' pages: parts are exchanged as the service sends them, until a run that the page is about has ended.
"use strict";

const place = document.querySelector("[data-events]");
const log = document.getElementById("log");
const trouble = document.getElementById("trouble");
const said = document.getElementById("said");

// What is focused, open or half filled in stays so: only parts that have become others are exchanged.
function exchange({ part, html }) {
  const shown = document.querySelector(`[data-part="${part}"]`);
  if (!shown) return;
  const focused = shown.contains(document.activeElement) ? document.activeElement.id : "";
  const isAtEnd = !log || log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  shown.innerHTML = html;
  if (focused) document.getElementById(focused)?.focus();
  if (part === "log" && isAtEnd) log.scrollTop = log.scrollHeight;
  if (part === "run" || part.startsWith("job-")) say();
}

// The phase is said when it is another one, not at every count.
function say() {
  const words = [...document.querySelectorAll(".phases li.running")].map((phase) => phase.children[1].innerText).join(", ");
  if (words && said.textContent !== words) said.textContent = words;
}

if (log) log.scrollTop = log.scrollHeight;
if (place) {
  const source = new EventSource(place.dataset.events);
  source.addEventListener("part", (event) => exchange(JSON.parse(event.data)));
  source.addEventListener("end", (event) => {
    source.close();
    said.textContent = `The run is over: ${event.data}`;
  });
  source.addEventListener("open", () => (trouble.textContent = ""));
  source.addEventListener("error", () => (trouble.textContent = "The service cannot be reached; trying again."));
}
