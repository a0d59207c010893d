// The upload: files can be dropped, one that is too large is refused before it travels, and a wait is said.
"use strict";

const form = document.getElementById("upload");
const input = document.getElementById("csv_file");
const drop = document.getElementById("drop");
const fault = document.getElementById("file-fault");

function check() {
  const file = input.files[0];
  const largest = Number(input.dataset.largest);
  let wrong = "";
  if (file && file.size > largest) wrong = `${file.name} is larger than 10 MiB. Split it, or delete what is no position.`;
  else if (file && !/\.csv$/i.test(file.name)) wrong = `${file.name} is no CSV file. Save it with a name that ends in .csv.`;
  input.setCustomValidity(wrong);
  fault.textContent = wrong;
  fault.hidden = !wrong;
}

function over(event) {
  if (![...event.dataTransfer.types].includes("Files")) return;
  event.preventDefault();
  drop.classList.add("over");
}

drop.querySelector(".can-drop").hidden = false;
drop.addEventListener("dragenter", over);
drop.addEventListener("dragover", over);
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (event.dataTransfer.files.length !== 1) {
    fault.textContent = "Drop one file.";
    fault.hidden = false;
    return;
  }
  input.files = event.dataTransfer.files;
  check();
  input.focus();
});
input.addEventListener("change", check);
form.addEventListener("submit", () => {
  document.getElementById("sending").textContent = "Checking the file and storing the portfolio…";
  document.getElementById("send").disabled = true;
});
// A page that the browser kept is shown again as it was left.
window.addEventListener("pageshow", () => {
  document.getElementById("send").disabled = false;
  document.getElementById("sending").textContent = "";
});
document.getElementById("wrong")?.scrollIntoView({ block: "start" });
