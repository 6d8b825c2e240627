"use strict";
// Each answer is stored before the next question is shown, under the study and the person, so that
// closing or reloading the page loses nothing. No dollar sign stands before a brace here:
// Mechanical Turk would take it for a variable.
const AHEAD = 4;  // Questions whose pictures are fetched before they are asked.
const BATCH = 100;  // Answers to send at a time.
const LONGEST = 7 * 24 * 3600 * 1000;  // Milliseconds; the server takes no more for one answer.
const LETTERS = "ABCDEFGHI";
const at = id => document.getElementById(id);

// Everything is kept twice: for all tabs of this browser, and for this tab alone, since Chromium may
// show a page that is reloaded soon the first as it was some moments ago.
function kept(name) {
  const read = storage => {
    try { return JSON.parse(window[storage].getItem(name)); } catch (error) { return null; }
  };
  const shared = read("localStorage"), own = read("sessionStorage");
  return shared === null || own !== null && own.changed > shared.changed ? own : shared;
}

function keep(name, value) {
  const text = JSON.stringify(value);
  const write = storage => {
    try {
      window[storage].setItem(name, text);
      return true;
    } catch (error) { return false; }
  };
  write("sessionStorage");
  return write("localStorage");
}

function onPage() {
  const asked = new URLSearchParams(location.search).get("rater");
  const name = "study/" + STUDY.study;
  const served = location.protocol.startsWith("http");
  const numbered = value => /^[1-9][0-9]{0,3}$/.test(String(value).trim()) ? Number(value) : 0;
  return {
    study: STUDY.study,
    rater: numbered(asked === null ? kept(name) : asked),
    // Of another study at this address, a picture may have the same name.
    address: id => "pictures/" + id + ".png?" + STUDY.study,
    served,
    download: true,
    store: rater => name + "/" + rater,
    list: rater => STUDY.lists[(rater - 1) % STUDY.lists.length],
    remember: rater => keep(name, rater),
    async number() {
      if (numbered(at("number").value)) return numbered(at("number").value);
      // Another tab may have begun since this one was opened, or while this one waits.
      if (numbered(kept(name))) return numbered(kept(name));
      if (!at("number-row").hidden) throw new Error("Please give your number, 1 to 9999.");
      if (served) {
        try {
          const answer = await fetch("rater", {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"});
          const given = answer.ok ? numbered((await answer.json()).rater) : 0;
          if (given) return numbered(kept(name)) || given;
        } catch (error) { /* Not our server, or not now: ask for it. */ }
      }
      at("number-row").hidden = false;
      at("number").focus();
      return 0;
    },
    answered() {},
    finished() {},
  };
}

function onMechanicalTurk() {
  // The site may put the layout into a form of its own, and then the layout's is none.
  const form = at("hit").closest("form"), asked = new URLSearchParams(location.search);
  const assignment = asked.get("assignmentId") || "", hit = at("hit").dataset;
  const list = hit.questions.split(" ").map(question => question.split("."));
  if (assignment) form.querySelectorAll("[name=assignmentId]").forEach(input => { input.value = assignment; });
  if (asked.get("turkSubmitTo")) form.action = asked.get("turkSubmitTo").replace(/\/+$/, "") + "/mturk/externalSubmit";
  form.addEventListener("keydown", event => { if (event.key === "Enter" && event.target.type !== "submit") event.preventDefault(); });
  if (assignment === "ASSIGNMENT_ID_NOT_AVAILABLE") {
    at("begin").disabled = true;
    showMessage("This is a preview. Please accept the task to begin.");
  }
  const field = (name, value) => {
    let input = form.elements[name];
    if (!input) {
      input = document.createElement("input");
      input.type = "hidden";
      input.name = name;
      form.append(input);
    }
    input.value = value;
  };
  return {
    study: hit.study,
    rater: Number(hit.rater),
    address: id => hit.imageUrl + "/" + id + ".png",
    served: false,
    download: false,
    store: rater => "study/" + hit.study + "/" + rater + "/" + assignment,
    list: () => list,
    remember: () => true,
    answered(said) {
      field("q" + (said.trial + 1), said.answer);
      field("q" + (said.trial + 1) + "_ms", said.ms);
    },
    finished() { at("submit").hidden = false; },
  };
}

function showMessage(text, button) {
  at("message").textContent = text;
  if (button) at("message").append(button);
  at("message").hidden = !text;
}

function run(host) {
  // What is kept: who, where in the list, the newest answer of each question, and what is not sent.
  let person = null, list = [], shown = 0, began = 0, sending = false, failures = 0, retry = 0, ahead = [];
  // Whether the browser keeps it, and whether it is in a file or a form that was sent.
  let stored = true, saved = false, most = BATCH, refusal = "";
  const refused = new Set();

  // Changes what is kept. Another tab may have changed it, too: of two answers the later one counts.
  function save(change) {
    const other = kept(host.store(person.rater));
    if (other && other.person !== person.person) {
      shown += 1;
      at("ask").hidden = at("end").hidden = true;
      showMessage("Someone else goes on with this number in this browser: nothing more can be answered in this tab. Please close it.");
      return false;
    }
    for (const said of Object.values(other ? other.answers : {})) {
      const own = person.answers[said.trial];
      if (own && own.at >= said.at) continue;
      person.answers[said.trial] = said;
      host.answered(said);
    }
    person.unsent = Array.from(new Set(person.unsent.concat(other ? other.unsent : [])));
    change();
    person.changed = Date.now();
    stored = keep(host.store(person.rater), person);
    at("unstored").hidden = stored;
    return true;
  }

  function enter(rater) {
    list = host.list(rater);
    person = kept(host.store(rater)) || {
      rater, place: 0, answers: {}, unsent: [],
      person: Array.from(crypto.getRandomValues(new Uint8Array(6)), byte => byte.toString(16).padStart(2, "0")).join(""),
    };
    host.remember(rater);
    save(() => {});
    Object.values(person.answers).forEach(host.answered);
    at("start").hidden = true;
    at("foot").hidden = !host.download;
    show();
    send();
  }

  async function begin() {
    at("begin").disabled = true;
    showMessage("");
    try {
      const rater = host.rater || await host.number();
      if (rater) enter(rater);
    } catch (error) { showMessage(error.message); }
    at("begin").disabled = false;
  }

  function fetched(id) {
    const image = new Image();
    image.src = host.address(id);
    return image;
  }

  function option(group, value, face, label) {
    const row = document.createElement("label"), input = document.createElement("input");
    input.type = "radio";
    // Without a name, for a form would post it.
    input.setAttribute("aria-label", label);
    input.value = value;
    input.addEventListener("change", () => choose(input));
    row.append(input, face);
    group.append(row);
    return input;
  }

  const options = () => Array.from(document.querySelectorAll("#stage input"));
  const chosen = () => options().find(input => input.checked);

  function choose(input) {
    for (const other of options()) other.checked = other === input;
    at("next").disabled = busy();
  }

  const busy = () => at("stage").getAttribute("aria-busy") === "true";

  function element(tag, className, text) {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
  }

  async function show() {
    const turn = ++shown, done = person.place >= list.length;
    at("ask").hidden = done;
    at("end").hidden = !done;
    showMessage("");
    report();
    if (done) {
      host.finished();
      at("thanks").focus();
      return;
    }
    const pictures = list[person.place], choice = pictures.length > 1;
    at("bar").max = list.length;
    at("bar").value = person.place;
    at("count").textContent = (person.place + 1) + " of " + list.length;
    at("question").textContent = choice ? "Which looks most natural?" : "How natural does this face look?";
    const keys = choice ? LETTERS.slice(0, pictures.length).split("").join(", ") : "1 to 9, 0 for 10";
    at("hint").textContent = (choice ? "Choose one picture." : "1 looks fake, 10 is hyper-realistic.")
      + (matchMedia("(any-hover: hover)").matches ? " Keys: " + keys + "; Enter for next, Backspace to go back." : "");
    at("stage").setAttribute("aria-busy", "true");
    at("pictures").replaceChildren();
    at("scale").replaceChildren();
    at("scale").hidden = at("ends").hidden = choice;
    arrange(pictures.length);
    const images = pictures.map(fetched);
    images.forEach((image, place) => {
      const face = element("span", "face", "");
      image.alt = choice ? "Picture " + LETTERS[place] : "The picture to rate";
      face.append(image);
      if (choice) face.append(element("b", "", LETTERS[place]));
      if (choice) option(at("pictures"), pictures[place], face, "Picture " + LETTERS[place]);
      else at("pictures").append(face);
    });
    for (let rating = 1; !choice && rating <= 10; rating++) {
      const label = rating + ({1: ", looks fake", 10: ", hyper-realistic"}[rating] || "");
      option(at("scale"), String(rating), element("span", "number", rating), label);
    }
    if (choice) at("pictures").setAttribute("role", "radiogroup");
    else at("pictures").removeAttribute("role");
    at("pictures").setAttribute("aria-labelledby", "question");
    for (const input of options()) input.disabled = true;
    at("next").disabled = true;
    at("back").disabled = person.place === 0;
    at("question").focus();
    try {
      await Promise.all(images.map(image => image.decode()));
    } catch (error) {
      if (turn === shown) lost();
      return;
    }
    if (turn !== shown) return;
    began = performance.now();
    at("stage").setAttribute("aria-busy", "false");
    const before = person.answers[person.place];
    for (const input of options()) {
      input.disabled = false;
      if (before && String(before.answer) === input.value) choose(input);
    }
    ahead = list.slice(person.place + 1, person.place + 1 + AHEAD).flat().map(fetched);
  }

  function lost() {
    const again = element("button", "", "Try again");
    again.type = "button";
    again.addEventListener("click", show);
    showMessage("A picture cannot be loaded. If this page came in an archive, unpack all of it first.", again);
  }

  function arrange(count) {
    const wide = innerWidth > 760;
    const columns = count === 1 ? 1 : wide ? (count < 5 ? count : Math.ceil(count / 2)) : count < 5 ? 2 : 3;
    const style = at("pictures").style;
    style.setProperty("--columns", columns);
    style.setProperty("--rows", Math.ceil(count / columns));
    style.setProperty("--widest", count === 1 ? "420px" : "340px");
    // What stands above and below the pictures; the scale takes two rows on narrow screens.
    style.setProperty("--beside", (count > 1 ? 260 : innerWidth > 560 ? 330 : 366) + "px");
  }

  function confirm() {
    const input = chosen();
    if (!input || busy()) return;
    const trial = person.place, choice = list[trial].length > 1, took = performance.now() - began;
    const going = save(() => {
      // Who comes back to a question takes longer for it.
      const before = person.answers[trial] ? person.answers[trial].ms : 0;
      person.answers[trial] = {
        trial, ms: Math.min(LONGEST, Math.round(before + took)), at: Date.now(),
        answer: choice ? input.value : Number(input.value),
      };
      person.unsent = person.unsent.filter(other => other !== trial).concat(trial);
      person.place += 1;
    });
    if (!going) return;
    saved = false;
    refused.delete(trial);
    host.answered(person.answers[trial]);
    show();
    send();
  }

  function back() {
    if (person.place > 0 && save(() => { person.place -= 1; })) show();
  }

  async function send() {
    const batch = person.unsent.filter(trial => !refused.has(trial)).slice(0, most).map(trial => person.answers[trial]);
    if (!host.served || sending || !batch.length) return;
    sending = true;
    try {
      const answer = await fetch("answers", {
        method: "POST", headers: {"Content-Type": "application/json"},
        body: JSON.stringify({study: host.study, rater: person.rater, person: person.person, answers: batch}),
      });
      if (answer.status === 400) {
        // One by one, so that what is wrong with one holds up no other.
        if (batch.length === 1) {
          refused.add(batch[0].trial);
          refusal = (await answer.text()).trim();
        }
        most = 1;
      } else {
        // What else answers in the server's place, as a network that asks to log in, has no such number.
        if (!answer.ok || (await answer.json()).stored !== batch.length) throw new Error();
        const received = () => {
          // One that was changed meanwhile has another time, and goes again.
          const gone = new Set(batch.filter(said => person.answers[said.trial] === said).map(said => said.trial));
          person.unsent = person.unsent.filter(trial => !gone.has(trial));
        };
        if (!save(received)) received();
      }
      failures = 0;
    } catch (error) { failures += 1; }
    sending = false;
    clearTimeout(retry);
    retry = setTimeout(send, failures ? Math.min(30000, 500 * 2 ** failures) : 0);
    report();
  }

  function report() {
    const waiting = person.unsent.length, done = person.place >= list.length;
    const received = host.served && !waiting;
    at("state").textContent = !host.served
      ? (stored ? "Answers are kept in this browser." : "Answers are kept nowhere until you download them.")
      : received ? (person.place ? "All answers so far are received." : "")
      : refused.size ? refused.size + (refused.size > 1 ? " answers are" : " answer is") + " not taken: " + refusal
      : waiting + (waiting > 1 ? " answers are " : " answer is ") + (stored ? "kept here and being sent." : "being sent.");
    if (!done) return;
    at("ending").textContent = !host.download ? "All questions are answered. Please submit them."
      : received ? "All questions are answered, and your answers are received. You may close this page."
      : host.served ? "All questions are answered. Please leave this page open until all answers are sent; if they cannot be, download them and send the file to whoever asked you."
      : "All questions are answered. Please download your answers and send the file to whoever asked you.";
  }

  function download() {
    const answers = Object.values(person.answers).sort((one, other) => one.trial - other.trial);
    const content = JSON.stringify({study: host.study, rater: person.rater, person: person.person, answers});
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], {type: "application/json"}));
    link.download = "answers-" + host.study + "-" + person.rater + ".json";
    link.click();
    saved = true;
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    at(at("ask").hidden ? "thanks" : "question").focus();
  }

  function pressed(event) {
    if (!person || event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "BUTTON" && event.key === "Enter") return;
    const inputs = options(), key = event.key;
    if (key === "Backspace") back();
    else if (at("ask").hidden || busy()) return;
    else if (key === "Enter") { if (!event.repeat) confirm(); }
    else {
      const now = inputs.indexOf(chosen()), step = {ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1}[key];
      let place = -1;
      if (step) place = now < 0 ? (step > 0 ? 0 : inputs.length - 1) : Math.min(inputs.length - 1, Math.max(0, now + step));
      else if (/^[0-9]$/.test(key)) place = key === "0" ? 9 : Number(key) - 1;
      else if (list[person.place].length > 1 && key.length === 1) place = LETTERS.indexOf(key.toUpperCase());
      if (place < 0 || place >= inputs.length) return;
      choose(inputs[place]);
    }
    event.preventDefault();
  }

  for (const text of STUDY.instructions) at("instructions").append(element("p", "", text));
  at("begin").addEventListener("click", begin);
  at("number").addEventListener("keydown", event => { if (event.key === "Enter") begin(); });
  at("next").addEventListener("click", confirm);
  at("back").addEventListener("click", back);
  at("again").addEventListener("click", back);
  at("save").addEventListener("click", download);
  addEventListener("keydown", pressed);
  addEventListener("submit", () => { saved = true; });
  addEventListener("beforeunload", event => {
    if (person && !stored && !saved && person.unsent.length) {
      event.preventDefault();
      event.returnValue = true;  // Older browsers ask for this.
    }
  });
  addEventListener("online", () => { failures = 0; if (person) send(); });
  addEventListener("resize", () => { if (person && person.place < list.length) arrange(list[person.place].length); });
  if (host.rater && kept(host.store(host.rater))) enter(host.rater);
  else {
    at("start").hidden = false;
    at("number-row").hidden = Boolean(host.rater) || host.served || !host.download;
  }
}
