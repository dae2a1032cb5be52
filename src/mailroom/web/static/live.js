// <mail-progress ticket="…"> and <task-progress ticket="…">: keep what the server drew up to date, in place. What to
// write comes from the server with each change (web/views/view_data.py); nothing is worked out here.

import { subscribe } from "./connection.js";
import { LOST, lineWords, showBlocks, showWay, wearIcon, words } from "./progress.js";
import { countDown, localTime } from "./times.js";

class LiveProgress extends HTMLElement {
  #leave = null;
  #headline = "";
  #retryAt = null;

  connectedCallback() {
    this.#headline = this.#part("headline")?.textContent;
    this.#countDown((this.#retryAt = this.#part("countdown")?.dataset.until || null));
    this.#leave = subscribe(
      this.getAttribute("ticket"),
      (snapshot) => this.show(snapshot),
      (word) => this.#stand(word),
    );
  }

  disconnectedCallback() {
    this.#leave?.();
    countDown(this.#part("countdown"), null);
  }

  // A line of a list has no headline: the list says itself that its session is gone.
  get #isLine() {
    return this.#headline === undefined;
  }

  show(snapshot) {
    const { state, afterword, final } = snapshot;
    if (this.dataset.afterword && !afterword) return; // what came after the mail stays true
    const lost = LOST.has(state);
    if (lost && this.#isLine) return;
    const view = lost ? lostView(this, state) : snapshot.view;
    if (!view) return; // an older server, which is about to end: the next one knows
    this.dataset.state = state;
    this.dataset.mood = view.mood;
    this.toggleAttribute("data-final", final);
    if (afterword) this.dataset.afterword = afterword;
    for (const [name, text] of Object.entries(view.texts)) this.#write(name, text);
    this.#countDown((this.#retryAt = view.retry_at));
    if (!lost) this.#draw(view);
    if (!this.#isLine) this.#page(view);
    this.dispatchEvent(new CustomEvent("progress-shown", { bubbles: true, detail: snapshot }));
  }

  #draw({ share, since, steps, history, measured, texts }) {
    const bar = this.#part("bar");
    if (bar && share === null) bar.removeAttribute("value");
    else if (bar) bar.value = share;
    this.#hide("meter", !measured);
    if (!this.#part("route")) return; // a task, or a line of a list
    this.#hide("server", !texts.code && !texts.answer);
    this.#hide("since", !since);
    localTime(this.#part("since").querySelector("time"), since);
    steps.forEach((step, index) => drawStep(this.#part("route").children[index], step));
    this.#hide("history", !history.length);
    const line = this.#part("history").querySelector("template").content;
    this.#part("events").replaceChildren(...history.map((event) => drawEvent(line.cloneNode(true), event)));
  }

  // What stands elsewhere on the page about the same: postmark, tab, icon, the blocks for some states.
  #page({ mood, tab, shows, texts: { headline, detail }, way, href }) {
    if (headline !== this.#headline) this.#write("live", `${headline}. ${detail}`);
    this.#headline = headline;
    showWay(this.#part("detail"), { way, href });
    const ticket = CSS.escape(this.getAttribute("ticket"));
    for (const mark of document.querySelectorAll(`[data-mirrors="${ticket}"]`)) {
      mark.dataset.mood = mood;
      mark.firstElementChild.textContent = tab;
      mark.toggleAttribute("data-long", tab.length > 9);
    }
    const product = document.querySelector('meta[name="application-name"]').content;
    document.title = [tab, this.dataset.title, product].filter(Boolean).join(" · ");
    wearIcon(mood);
    const blocks = document.querySelectorAll(`[data-blocks="${ticket}"] [data-for]`);
    showBlocks(blocks, shows, !this.dataset.afterword && this.localName === "mail-progress");
  }

  #stand(word) {
    if (this.#isLine) return;
    const said = lineWords(word, this.dataset.afterword || this.hasAttribute("data-final"));
    this.#hide("connection", !said);
    this.#write("connection", said);
    this.#countDown(said ? null : this.#retryAt); // nobody knows whether it still holds
  }

  #countDown(until) {
    this.#hide("again", !until);
    countDown(this.#part("countdown"), until);
  }

  #part(name) {
    return this.querySelector(`[data-part="${name}"]`);
  }

  #hide(name, hidden) {
    const part = this.#part(name);
    if (part) part.hidden = hidden;
  }

  #write(name, text) {
    const part = this.#part(name);
    if (part && part.textContent !== text) part.textContent = text;
  }
}

function lostView(element, state) {
  const { mood, word, headline, detail, way, href } = words.lost[element.localName.split("-")[0]][state];
  return { mood, tab: word, shows: [state], texts: { word, headline, detail }, way, href };
}

function drawStep(item, { status, standing, at }) {
  item.dataset.status = status;
  item.querySelector('[data-part="standing"]').textContent = standing;
  if (status === "now") item.setAttribute("aria-current", "step");
  else item.removeAttribute("aria-current");
  localTime(item.querySelector("time"), at);
}

function drawEvent(line, { at, label, attempt }) {
  localTime(line.querySelector("time"), at);
  line.querySelector("span").textContent = label;
  line.querySelector("small").textContent = attempt;
  return line;
}

customElements.define("mail-progress", class extends LiveProgress {});
customElements.define("task-progress", class extends LiveProgress {});
