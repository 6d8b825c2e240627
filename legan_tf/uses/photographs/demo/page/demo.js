"use strict";
const at = id => document.getElementById(id);
let file = null, photograph = null, working = false, waiting = false;

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, {method: "POST", ...options});
  } catch (error) {
    throw new Error("The program that serves this page does not answer; is it still running?");
  }
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer;
}

function tell(error) {
  at("told").textContent = error ? error.message : "";
  at("told").hidden = !error;
}

function chips(id, names) {
  at(id).replaceChildren(...["", ...names].map(name => {
    const label = document.createElement("label"), input = document.createElement("input");
    Object.assign(input, {type: "radio", name: id, value: name, checked: !name});
    input.addEventListener("change", edit);
    const text = document.createElement("span");
    text.textContent = name.replaceAll("_", " ") || "as it is";
    label.append(input, text);
    return label;
  }));
}

const chosen = id => document.querySelector(`input[name=${id}]:checked`).value || null;

function target() {
  return JSON.stringify({
    photograph, expression: chosen("expression"), lighting: chosen("lighting"),
    strength: Number(at("strength").value),
  });
}

function show(id, blob) {
  URL.revokeObjectURL(at(id).src);
  at(id).src = URL.createObjectURL(blob);
}

const preview = body => ask("preview", {body, headers: {"Content-Type": "application/json"}}).then(answer => answer.blob());

// One edit at a time; what is asked for meanwhile waits, and of that the newest alone counts.
async function edit() {
  at("amount").textContent = Number(at("strength").value).toFixed(2);
  if (!photograph) return;
  waiting = true;
  if (working) return;
  working = true;
  at("view").setAttribute("aria-busy", "true");
  try {
    while (waiting) {
      waiting = false;
      const began = performance.now();
      show("after", await preview(target()));
      at("took").textContent = `in ${Math.round(performance.now() - began)} ms`;
      tell(null);
    }
  } catch (error) {
    tell(error);
  } finally {
    working = false;
    at("view").setAttribute("aria-busy", "false");
  }
}

async function open(chosenFile, face) {
  if (working) return;
  working = true;
  at("view").setAttribute("aria-busy", "true");
  try {
    if (chosenFile.size > 64 * 2 ** 20) throw new Error("A photograph may have 64 MiB at most.");
    const headers = {"Content-Type": "application/octet-stream", "X-Name": chosenFile.name.replace(/[^\x20-\x7e]/g, "_"), "X-Face": face};
    const opened = await (await ask("photograph", {body: chosenFile, headers})).json();
    [file, photograph] = [chosenFile, opened.photograph];
    const numbers = Array.from({length: opened.faces}, (_, index) => String(index + 1));
    at("face").replaceChildren(...["largest", "all", ...numbers].map(name => new Option(name, name, false, name === face)));
    at("which").hidden = opened.faces < 2;
    at("notes").textContent = opened.notes.join(" ");
    show("before", await preview(JSON.stringify({photograph})));
    at("save").disabled = false;
    tell(null);
  } catch (error) {
    at("face").value = "largest";
    tell(error);
    return;
  } finally {
    working = false;
    at("view").setAttribute("aria-busy", "false");
  }
  await edit();
}

async function save() {
  at("save").disabled = true;
  try {
    const answer = await ask("file", {body: target(), headers: {"Content-Type": "application/json"}});
    const suffix = {"image/jpeg": "jpg", "image/png": "png", "image/tiff": "tif", "image/webp": "webp"}[answer.headers.get("Content-Type")];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = `${file.name.replace(/\.[^.]*$/, "")}-edited.${suffix}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    tell(null);
  } catch (error) {
    tell(error);
  } finally {
    at("save").disabled = false;
  }
}

at("upload").addEventListener("change", event => event.target.files[0] && open(event.target.files[0], "largest"));
at("face").addEventListener("change", event => open(file, event.target.value));
at("strength").addEventListener("input", edit);
at("save").addEventListener("click", save);
addEventListener("dragover", event => event.preventDefault());
addEventListener("drop", event => {
  event.preventDefault();
  if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0], "largest");
});

fetch("targets").then(answer => answer.json()).then(({expressions, lights}) => {
  chips("expression", expressions);
  chips("lighting", lights);
}).catch(() => tell(new Error("The program that serves this page does not answer; is it still running?")));
