// Asks over HTTP where the watched tasks are, where websockets do not get through.

import { inSite } from "./site.js";

const EVERY = 2_000;
const EVERY_HIDDEN = 15_000;
const NEW_COOKIE = 1_000; // a browser stores its new cookie a moment after its old session ended
const LISTS = new Set(["tasks", "desk"]); // they fetch themselves, but for whether they still may
const signedIn = Boolean(document.querySelector('form[action$="/sign-out"]')); // when this page was drawn

export class Polling {
  #tickets;
  #line;
  #timer = 0;
  #refused = false; // whether the last round was. One refusal may be due to an old cookie, two in a row are not

  // `line` has tell(snapshot), stand(word, tickets), isOver() for the page's session, giveUp() where it is over.
  constructor(tickets, line) {
    this.#tickets = tickets;
    this.#line = line;
  }

  get on() {
    return Boolean(this.#timer);
  }

  start() {
    if (!this.#timer && this.#tickets().length) this.#after(0);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#refused = false;
  }

  hurry() {
    if (!this.#timer) return;
    this.stop();
    this.start();
  }

  async #round() {
    const mine = this.#timer;
    const answers = await Promise.all(this.#tickets().map((ticket) => this.#ask(ticket)));
    if (this.#timer !== mine) return;
    const foreign = answers.filter(({ may }) => may === false);
    const first = foreign.length && !this.#refused;
    this.#refused = Boolean(foreign.length);
    if (first) {
      for (const { may, snapshot } of answers) if (may && snapshot) this.#line.tell(snapshot);
      return this.#after(NEW_COOKIE);
    }
    const over = foreign.length && (this.#line.isOver() || (await isSignedOut()));
    if (this.#timer !== mine) return;
    if (over && foreign.length === answers.length) this.#line.giveUp();
    for (const { snapshot } of answers) if (snapshot) this.#line.tell(snapshot);
    if (this.#timer === mine) this.#after(document.hidden ? EVERY_HIDDEN : EVERY);
  }

  #after(wait) {
    this.#timer = setTimeout(() => this.#round(), wait);
  }

  // Returns what to tell of it, and whether this browser may watch it (undefined where nobody knows).
  async #ask(ticket) {
    try {
      const answer = await get(LISTS.has(ticket) ? "?limit=1" : `/${encodeURIComponent(ticket)}?view=1`);
      if (answer.status === 404 || answer.status === 401) {
        return { may: false, snapshot: { task: ticket, state: "unknown", final: true } };
      }
      if (!answer.ok) throw new Error(answer.statusText);
      const snapshot = LISTS.has(ticket) ? null : await answer.json();
      this.#line.stand("polling", [ticket]);
      return { may: true, snapshot };
    } catch {
      this.#line.stand("reconnecting", [ticket]);
      return {};
    }
  }
}

function get(path) {
  const headers = { Accept: "application/json" };
  return fetch(inSite(`/api/v1/tasks${path}`), { headers, signal: AbortSignal.timeout(10_000) });
}

async function isSignedOut() {
  try {
    return signedIn && (await get("?limit=1")).status === 401;
  } catch {
    return false;
  }
}
