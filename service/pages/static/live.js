// Operators' pages: parts are exchanged as the service sends them, until a run that the page is about has ended.
"use strict";

const PATIENCE = 5000; // the service ends a stream every minute, and it is opened again at once
const place = document.querySelector("[data-events]");
const log = document.getElementById("log");
const trouble = document.getElementById("trouble");
const said = document.getElementById("said");
const parts = new Map([...document.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part.innerHTML]));
let lost;

// What is focused, open or half filled in stays so: only parts that have become others are exchanged.
function exchange({ part, html }) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  if (!parts.has(part) || parts.get(part) === fresh.innerHTML) return;
  parts.set(part, fresh.innerHTML);
  const shown = document.querySelector(`[data-part="${part}"]`);
  const focused = shown.contains(document.activeElement) ? document.activeElement.id : "";
  const isAtEnd = log && log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  shown.replaceChildren(fresh.content);
  if (focused) document.getElementById(focused)?.focus();
  if (part === "log" && isAtEnd) log.scrollTop = log.scrollHeight;
  if (part === "run" || part.startsWith("job-")) say();
}

// The phase is said when it is another one, not at every count.
function say() {
  const running = [...document.querySelectorAll(".phases li.running")];
  const words = running.map((phase) => phase.children[1].innerText).join(", ");
  if (words && said.textContent !== words) said.textContent = words;
}

function tell(words) {
  clearTimeout(lost);
  trouble.textContent = words;
}

if (log) log.scrollTop = log.scrollHeight;
if (place) {
  const source = new EventSource(place.dataset.events);
  source.addEventListener("part", (event) => exchange(JSON.parse(event.data)));
  source.addEventListener("end", (event) => {
    source.close();
    said.textContent = `The run is over: ${event.data}`;
  });
  source.addEventListener("open", () => tell(""));
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) return tell("This page is told no more; load it again.");
    clearTimeout(lost);
    lost = setTimeout(tell, PATIENCE, "The service cannot be reached; trying again.");
  });
}
