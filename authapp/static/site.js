// Progressive enhancement only: every page works without this file, and its words are in the markup.
"use strict";

/** Brings a password field's "Show" button to life, which holds both its texts. */
function enableReveal(button) {
  const input = document.getElementById(button.getAttribute("aria-controls"));
  const [show, hide] = button.children;

  function reveal(visible) {
    const { selectionStart, selectionEnd } = input;
    input.type = visible ? "text" : "password";
    input.setSelectionRange(selectionStart, selectionEnd);
    show.hidden = visible;
    hide.hidden = !visible;
  }

  button.addEventListener("click", () => reveal(input.type === "password"));
  // What leaves as text is kept in the browser's form history; and what was left open must not
  // reappear when the person comes back by the Back button.
  input.form.addEventListener("submit", () => reveal(false));
  window.addEventListener("pagehide", () => reveal(false));
  button.hidden = false;
}

/** Ignores the second half of a double click, which would show an error after a success. */
function ignoreDoubleClick(form) {
  let sentAt = -Infinity;

  form.addEventListener("submit", (event) => {
    if (event.timeStamp - sentAt < 1000) {
      event.preventDefault();
    } else {
      sentAt = event.timeStamp;
    }
  });
}

const ROWS = ["1234567890".repeat(5), "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl"];
const KINDS = [[/[a-z]/, 26], [/[A-Z]/, 26], [/\d/, 10], [/[^a-z\d]/i, 33]];
const BITS = [40, 60, 90];

const inRow = (text) => ROWS.some((row) => row.includes(text));
const step = (one, other) => other.codePointAt() - one.codePointAt();
const isNear = (one, other) => one
  && (Math.abs(step(one, other)) < 2 || inRow(one + other) || inRow(other + one));
const bare = (text) => text.replace(/^[^\p{L}]+|[^\p{L}]+$/gu, "");

/** As is_simple of domain/passwords.py. */
function isSimple(all) {
  const first = step(all[0], all[1]);
  return all.length <= 32 && (
    [1, 2, 3].some((length) => all.every((c, i) => i < length || c === all[i - length]))
    || (Math.abs(first) === 1 && all.every((c, i) => !i || step(all[i - 1], c) === first))
    || inRow(all.join("")) || inRow([...all].reverse().join("")));
}

/** From 0, weak, to 3, strong; -1 for what the server refuses, save its list of common ones. */
function strength(password, words) {
  let text = password.toLowerCase();
  if (isSimple([...text])
      || words.some((word) => word === text || (bare(word) && bare(word) === bare(text)))) {
    return -1;
  }
  for (const word of words.filter((word) => word.length > 2)) {
    text = text.replaceAll(word, "");
  }
  const all = [...text];
  // What the characters before let one expect is worth nothing.
  const surprises = all.filter((c, i) => !isNear(all[i - 1], c) && !isNear(all[i - 2], c));
  const choice = KINDS.reduce((sum, [kind, size]) => sum + (kind.test(password) ? size : 0), 0);
  const bits = Math.min(surprises.length, 2 * new Set(all).size) * Math.log2(choice);
  return BITS.filter((needed) => bits >= needed).length;
}

/** Says what a new password is worth as it is typed: at once to the eye, after a pause aloud. */
function guide(guidance) {
  const { field, maximum, words } = guidance.dataset;
  const input = document.getElementById(field);
  const [meter, shown, spoken] = guidance.children;
  let pause;

  function guessable() {
    const own = [...input.form.elements].filter((e) => /name|email/.test(e.autocomplete))
      .flatMap(({ value }) => [value, value.split("@")[0]]);
    return [...words.split("\n"), location.hostname, ...own]
      .map((word) => word.toLowerCase()).filter(Boolean);
  }

  input.addEventListener("input", () => {
    const { length } = [...input.value];
    const missing = input.minLength - length;
    const word = missing > 0 ? "short" : length > maximum ? "long" : strength(input.value, guessable());
    guidance.hidden = !length;
    meter.value = word >= -1 ? Math.max(word, 0) + 1 : 0;
    shown.textContent = guidance.querySelector(`[data-word="${word}"]`).textContent
      .replace("{}", missing);
    clearTimeout(pause);
    pause = setTimeout(() => { spoken.textContent = shown.textContent; }, 1000);
  });
}

/** Tells a moment by the person's own clock, which the server does not know. */
function localise(time) {
  const { lang } = document.documentElement;
  // The language of the page, as it is written where the person is.
  const own = navigator.languages.find((one) => one.split("-")[0] === lang.split("-")[0]);
  time.textContent = new Intl.DateTimeFormat(own ?? lang, {
    day: "numeric", month: "long", year: "numeric",
    hour: "numeric", minute: "2-digit", timeZoneName: "short",
  }).format(new Date(time.dateTime));
}

document.querySelectorAll("button.reveal").forEach(enableReveal);
document.querySelectorAll("form").forEach(ignoreDoubleClick);
document.querySelectorAll(".guidance").forEach(guide);
document.querySelectorAll("time[data-local]").forEach(localise);
