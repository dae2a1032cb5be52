// The inbox's list: new mails come in by themselves. What is new is asked for as JSON, which costs nothing where there
// is nothing new; the list itself is drawn by the server.

import { inSite } from "./site.js";
import { localiseAll } from "./times.js";

const AGAIN = 2_000; // milliseconds between two looks
const AGAIN_HIDDEN = 10_000;

const inbox = document.getElementById("inbox");
const arrived = document.getElementById("arrived");
const url = new URL(inSite("/inbox/api/messages"));
url.searchParams.set("limit", "1");
if (inbox.dataset.to) url.searchParams.set("to", inbox.dataset.to);

const idsIn = (list) => new Set([...list.querySelectorAll("[data-id]")].map((line) => line.dataset.id));

async function look() {
  try {
    const answer = await fetch(url, { headers: { Accept: "application/json" } });
    const [newest] = answer.ok ? await answer.json() : [];
    if (newest && !idsIn(inbox).has(newest.id)) await draw();
  } catch {
    // The server restarts; the next look finds it again.
  }
  setTimeout(look, document.hidden ? AGAIN_HIDDEN : AGAIN);
}

async function draw() {
  const answer = await fetch(location.href);
  const drawn = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("inbox");
  if (!drawn) return;
  localiseAll(drawn);
  const known = idsIn(inbox);
  const fresh = [...drawn.querySelectorAll("[data-id]")].filter((line) => !known.has(line.dataset.id));
  for (const line of fresh) line.classList.add("new");
  inbox.replaceChildren(...drawn.childNodes);
  const subjects = fresh.map((line) => line.querySelector("strong").textContent);
  if (subjects.length) arrived.textContent = `${arrived.dataset.says} ${subjects.join(", ")}`;
}

look();
