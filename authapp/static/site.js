// Progressive enhancement only: every page works without this file.
"use strict";

/**
 * Brings a password field's "Show" button to life. The server renders it hidden, with both its
 * texts inside, so no words live in this file.
 */
function enableReveal(button) {
  const input = document.getElementById(button.getAttribute("aria-controls"));
  const [show, hide] = button.children;

  function reveal(visible) {
    input.type = visible ? "text" : "password";
    show.hidden = visible;
    hide.hidden = !visible;
  }

  button.addEventListener("click", () => reveal(input.type === "password"));
  // A password that leaves as text would be kept in the browser's form history; and one left open
  // must not reappear when the person comes back by the Back button.
  input.form.addEventListener("submit", () => reveal(false));
  window.addEventListener("pagehide", () => reveal(false));
  button.hidden = false;
}

/**
 * Ignores the second half of a double click. It would send the form once more, after the first
 * half has used it up, and show an error in place of what has in fact succeeded.
 */
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

document.querySelectorAll("button.reveal").forEach(enableReveal);
document.querySelectorAll("form").forEach(ignoreDoubleClick);
