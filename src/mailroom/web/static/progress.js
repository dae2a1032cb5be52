// What the live parts of a page have in common: the words that only the page can know to say, the way on, the tab.

import { inSite } from "./site.js";

export const words = JSON.parse(document.getElementById("page-words").textContent);
export const LOST = new Set(["unknown", "signed-out"]); // the page can be told no more: what it knew stays

// The words for the connection to the server, if any. After the end of its task a page only says that it is offline.
export function lineWords(word, isOver) {
  return isOver && word !== "offline" ? "" : (words.lines[word] ?? "");
}

// A link below the sentence, where the reader can go on elsewhere.
export function showWay(below, { way, href }) {
  const old = below.nextElementSibling;
  if (old?.dataset.part === "way") old.remove();
  if (!way) return;
  const line = document.createElement("p");
  const link = document.createElement("a");
  line.dataset.part = "way";
  link.className = "button";
  link.href = inSite(href);
  link.textContent = way;
  line.append(link);
  below.after(line);
}

export function wearIcon(mood) {
  const icon = document.querySelector('link[rel="icon"]');
  const address = inSite(`/static/favicon-${mood}.svg`);
  if (icon.href !== address) icon.href = address;
}

// Shows the blocks of the page that are for this state, hides the others; never one that is being typed into.
export function showBlocks(blocks, wanted, keepsMessages = true) {
  for (const block of blocks) {
    const typing = block.contains(document.activeElement) && document.activeElement !== document.body;
    if (block.dataset.for.split(" ").some((state) => wanted.includes(state))) block.hidden = false;
    else if (!keepsMessages || !(typing || block.querySelector(".message"))) block.hidden = true;
  }
}
