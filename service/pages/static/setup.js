// The set-up: asked for every two seconds until it has ended.
"use strict";

const EVERY = 2000;
const GRACE = 10000; // "not found" is believed after so long, and as often in a row:
const ENOUGH = 5;

const shown = document.getElementById("progress");
const log = document.getElementById("log");
const unavailable = document.getElementById("unavailable");
let missing, began, seen, timer;

function isOver(status) {
  return ["completed", "partial", "failed"].includes(status);
}

// A part is exchanged only when it is another: focus, selection and scrolling stay where they are.
function show(fresh) {
  for (const part of shown.querySelectorAll("[data-part]")) {
    const next = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
    if (part.innerHTML !== next.innerHTML) part.innerHTML = next.innerHTML;
    part.className = next.className;
  }
  shown.dataset.status = fresh.dataset.status;
  shown.dataset.terminal = fresh.dataset.terminal;
  if (!isOver(fresh.dataset.status)) log.scrollTop = log.scrollHeight;
  say();
}

// Said once when the words change: not at every poll.
function say() {
  const words = shown.dataset.terminal === "yes"
    ? shown.querySelector('[data-part="state"]').innerText
    : shown.querySelector(".now").innerText;
  const said = document.getElementById("said");
  if (said.textContent !== words) said.textContent = words;
  document.title = `${shown.querySelector("#state-title").innerText} · ridgeline`;
}

async function ask() {
  const answer = await fetch(`${location.pathname}/progress`, { cache: "no-store" });
  if (answer.redirected) return location.reload(); // the session has ended: the page leads to the sign-in
  if (!answer.ok && answer.status !== 404) throw new Error(`status ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  show(page.getElementById("progress"));
}

async function poll() {
  try {
    await ask();
    document.getElementById("trouble").textContent = "";
  } catch {
    document.getElementById("trouble").textContent = "The service cannot be reached; trying again.";
    timer = setTimeout(poll, EVERY);
    return;
  }
  const status = shown.dataset.status;
  missing = status === "not_found" ? missing + 1 : 0;
  seen = seen || status === "running";
  const lost = missing >= ENOUGH && Date.now() - began >= GRACE && !seen;
  unavailable.hidden = !lost;
  shown.hidden = lost;
  if (!lost && !isOver(status)) timer = setTimeout(poll, EVERY);
}

function start() {
  clearTimeout(timer);
  [missing, began, seen] = [0, Date.now(), shown.dataset.status === "running"];
  unavailable.hidden = true;
  shown.hidden = false;
  timer = setTimeout(poll, EVERY);
}

document.getElementById("again").addEventListener("click", start);
if (!isOver(shown.dataset.status)) {
  log.scrollTop = log.scrollHeight;
  start();
}
