// The filter of the positions works while it is typed; without scripts it is sent like any form.
"use strict";

const filter = document.getElementById("filter");
const said = document.getElementById("shown");
const rows = [...document.querySelectorAll("#lots tbody tr")];
const complete = said.textContent.trim().startsWith(`${rows.length} of ${rows.length} `);

function narrow() {
  const wanted = Object.fromEntries(new FormData(filter));
  const text = wanted.find.trim().toLowerCase();
  let n = 0;
  for (const row of rows) {
    const words = `${row.cells[0].textContent}\n${row.cells[2].textContent}`.toLowerCase();
    row.hidden = !(words.includes(text) && ["", row.dataset.kind].includes(wanted.kind) && ["", row.dataset.quality].includes(wanted.quality));
    n += row.hidden ? 0 : 1;
  }
  said.textContent = `${n} of ${rows.length} lots`;
}

// A page that was sent with a part of the rows asks the service for another part.
if (complete) {
  filter.querySelector("button").hidden = true;
  filter.addEventListener("input", narrow);
  filter.addEventListener("submit", (event) => event.preventDefault());
  narrow();
}
