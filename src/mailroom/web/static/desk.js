// <desk-live src="…">: fetches its own content again when the websocket says that it has changed, while somebody
// looks; every few seconds where websockets do not get through. Without a script the page refreshes itself.

import { DESK, subscribe } from "./connection.js";
import { localiseAll } from "./times.js";

const EVERY = 5_000; // milliseconds between two looks without a websocket, and until what could not be shown is
const NEVER = Number.NEGATIVE_INFINITY;

class DeskLive extends HTMLElement {
  #leave = null;
  #timer = 0;
  #lookedAt = NEVER;

  connectedCallback() {
    document.addEventListener("visibilitychange", this.#look);
    this.#leave = subscribe(
      DESK,
      ({ state }) => state === "listed" && this.#look(),
      (word) => word !== "open" && performance.now() - this.#lookedAt > EVERY && this.#look(),
    );
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.#look);
    clearTimeout(this.#timer);
    this.#leave?.();
  }

  #look = async () => {
    clearTimeout(this.#timer);
    // A table that somebody reads, or a button that somebody is about to press, stays.
    if (document.hidden || this.querySelector("details[open]") || this.contains(document.activeElement)) {
      this.#timer = setTimeout(this.#look, EVERY);
      return;
    }
    this.#lookedAt = performance.now();
    try {
      const answer = await fetch(this.getAttribute("src"), { headers: { Accept: "text/html" } });
      if (answer.status === 404) return location.reload(); // the role, or the session, is gone
      if (!answer.ok) throw new Error(answer.statusText);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (this.#shown?.isEqualNode(page.body)) return;
      this.#shown = page.body.cloneNode(true);
      this.replaceChildren(...page.body.childNodes);
      localiseAll();
    } catch {
      this.#timer = setTimeout(this.#look, EVERY); // the server is away: what is shown says when it was read
    }
  };

  #shown = null; // what came last
}

customElements.define("desk-live", DeskLive);
