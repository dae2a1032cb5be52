// <desk-live src="…">: fetches its own content again every few seconds, while somebody looks. Without a script the
// page refreshes itself.

import { localiseAll } from "./times.js";

const EVERY = 5_000;

class DeskLive extends HTMLElement {
  #timer = 0;

  connectedCallback() {
    document.addEventListener("visibilitychange", this.#look);
    this.#wait();
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.#look);
    clearTimeout(this.#timer);
  }

  #wait() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#look, EVERY);
  }

  #look = async () => {
    this.#wait();
    // A table that somebody reads, or a button that somebody is about to press, stays.
    if (document.hidden || this.querySelector("details[open]") || this.contains(document.activeElement)) return;
    try {
      const answer = await fetch(this.getAttribute("src"), { headers: { Accept: "text/html" } });
      if (answer.status === 404) return location.reload(); // the role, or the session, is gone
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (this.#shown?.isEqualNode(page.body)) return;
      this.#shown = page.body.cloneNode(true);
      this.replaceChildren(...page.body.childNodes);
      localiseAll();
    } catch {
      // the server is away for a moment: what is shown says when it was read
    }
  };

  #shown = null; // what came last
}

customElements.define("desk-live", DeskLive);
