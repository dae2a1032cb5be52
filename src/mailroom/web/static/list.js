// <task-list standing="…">: brings the list up to date when it has changed elsewhere, in another tab or a worker.
// What is in it the server draws; lines that are here already stay, since they keep themselves up to date.

import { LIST, subscribe } from "./connection.js";
import { lineWords, showWay, words } from "./progress.js";
import { localiseAll } from "./times.js";

const AGAIN = 5_000; // milliseconds until the next try where the page did not come

const ticketOf = (line) => line.firstElementChild.getAttribute("ticket");

class TaskList extends HTMLElement {
  #leave = null;
  #asking = false;
  #stale = false;

  connectedCallback() {
    this.#leave = subscribe(
      LIST,
      ({ state, message }) => {
        if (state === "signed-out") return this.#say(words.lost.task[state].detail, words.lost.task[state]);
        if (message && message !== this.getAttribute("standing")) this.#refresh();
      },
      (word) => {
        this.#say(lineWords(word));
        if (word === "polling") this.#refresh();
      },
    );
  }

  disconnectedCallback() {
    this.#leave?.();
  }

  #say(text, way = {}) {
    let line = document.getElementById("list-line");
    if (!line) {
      line = document.createElement("p");
      line.id = "list-line";
      line.setAttribute("role", "status");
      this.before(line);
    }
    line.hidden = !text;
    if (line.textContent !== text) line.textContent = text;
    showWay(line, way);
  }

  async #refresh() {
    this.#stale = true;
    if (this.#asking) return;
    this.#asking = true;
    try {
      while (this.#stale) {
        this.#stale = false;
        await this.#ask();
      }
    } catch {
      setTimeout(() => this.#refresh(), AGAIN);
    } finally {
      this.#asking = false;
    }
  }

  async #ask() {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout(10_000) });
    if (!answer.ok) throw new Error(answer.statusText);
    const drawn = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("task-list");
    if (drawn) this.#take(drawn); // none: signed out meanwhile
  }

  #take(drawn) {
    localiseAll(drawn);
    const [lines, fresh] = [this, drawn].map((list) => list.querySelector(".rows"));
    if (lines && fresh) {
      merge(lines, fresh);
      this.querySelector(".pages")?.remove();
      this.append(...drawn.querySelectorAll(".pages"));
    } else {
      this.replaceChildren(...drawn.childNodes);
    }
    this.setAttribute("standing", drawn.getAttribute("standing"));
  }
}

// Both are in the same order: lines that are gone go, new ones come to their place.
function merge(lines, fresh) {
  const wanted = new Set([...fresh.children].map(ticketOf));
  for (const line of [...lines.children]) if (!wanted.has(ticketOf(line))) line.remove();
  let next = lines.firstElementChild;
  for (const line of [...fresh.children]) {
    if (next && ticketOf(next) === ticketOf(line)) {
      next = next.nextElementSibling;
    } else {
      line.classList.add("new");
      lines.insertBefore(line, next);
    }
  }
}

customElements.define("task-list", TaskList);
