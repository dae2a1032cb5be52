// Regions that the server draws anew every few seconds; they take the place of what is shown where they differ.

import { localiseAll } from "./times.js";

const AGAIN = 3_000; // milliseconds between two looks
const AGAIN_HIDDEN = 15_000;

const regions = [...document.querySelectorAll("[data-refreshed]")];
const drawnAs = new Map(regions.map((region) => [region.id, null]));

async function look() {
  try {
    const answer = await fetch(location.href);
    if (answer.ok) draw(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    // The server restarts; the next look finds it again.
  }
  setTimeout(look, document.hidden ? AGAIN_HIDDEN : AGAIN);
}

function draw(page) {
  for (const region of regions) {
    const drawn = page.getElementById(region.id);
    if (!drawn || region.contains(document.activeElement)) continue; // nobody's button goes away under the finger
    const text = drawn.textContent;
    if (drawnAs.get(region.id) === text) continue;
    drawnAs.set(region.id, text);
    localiseAll(drawn);
    region.replaceChildren(...drawn.childNodes);
  }
}

setTimeout(look, AGAIN);
