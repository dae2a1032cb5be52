// Small comforts of every page. Without them everything works as well.

import { inWords, localiseAll } from "./times.js";

localiseAll();

// "Confirmed. Welcome!" is said once: reloaded, or come back to, the page is just the account.
if (location.pathname === "/account" && location.search) history.replaceState(null, "", location.pathname);

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
    button.textContent = shown ? "Hide" : "Show";
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
    button.textContent = left > 0 ? `${label} (in ${inWords(left)})` : label;
    if (left > 0) setTimeout(tick, 1000);
  };
  tick();
}

// One press, one request.
for (const form of document.querySelectorAll('form[method="post"]')) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    setTimeout(() => delete form.dataset.sent, 5000);
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});
