// Small comforts of every page. Without them everything works as well.

import { inTime, localiseAll } from "./times.js";

localiseAll();

// An address too long for its line breaks after the @ and before a dot, not just anywhere.
for (const place of document.querySelectorAll("[data-address]")) {
  const pieces = place.textContent.trim().split(/(?<=@)|(?=\.)/);
  place.replaceChildren(...pieces.flatMap((piece, n) => (n ? [document.createElement("wbr"), piece] : [piece])));
}

for (const button of document.querySelectorAll("[data-reveals]")) {
  const input = document.getElementById(button.dataset.reveals);
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    input.toggleAttribute("data-revealed", shown);
    [button.textContent, button.dataset.other] = [button.dataset.other, button.textContent];
    button.setAttribute("aria-pressed", String(shown));
    input.focus();
  });
}

// A button that may be pressed again only after a while says so, and counts.
for (const button of document.querySelectorAll("[data-wait]")) {
  const until = Date.now() + Number(button.dataset.wait) * 1000;
  const label = button.textContent;
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    button.disabled = left > 0;
    const [open, close] = document.documentElement.lang.startsWith("zh") ? "（）" : [" (", ")"];
    button.textContent = left > 0 ? `${label}${open}${inTime(left)}${close}` : label;
    if (left > 0) setTimeout(tick, 1000);
  };
  tick();
}

// One press, one request; the pressed button shows that it was pressed.
const PRESSED = 8_000; // milliseconds after which an unanswered button can be pressed again
for (const form of document.querySelectorAll('form[method="post"]')) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "yes";
    event.submitter?.setAttribute("aria-busy", "true");
    setTimeout(release, PRESSED, form);
  });
}

function release(form) {
  delete form.dataset.sent;
  for (const button of form.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
}

addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach(release));
