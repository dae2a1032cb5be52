// <task-progress ticket="…">: keeps what the server drew of a task up to date, in place; on its page all of it,
// in the list a line. What is drawn is that of web/task_view.py; keep the two alike.

import { subscribe } from "./connection.js";
import { LOST, lineWords, shareOf, showBlocks, showWay, wearIcon, words } from "./progress.js";
import { countDown } from "./times.js";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const rough = (rate) => number(rate >= 10 ? Math.round(rate) : Math.round(rate * 10) / 10);
const number = (value) => (Number.isInteger(value) ? whole : tenths).format(value);

class TaskProgress extends HTMLElement {
  #leave = null;
  #share = 0;
  #attempt = 0;
  #said = "";
  #retryAt = null;

  connectedCallback() {
    const bar = this.#part("bar");
    this.#share = bar?.hasAttribute("value") ? bar.value : 0;
    this.#said = this.#part("headline")?.textContent ?? "";
    this.#retryAt = this.#part("countdown")?.dataset.until || null;
    countDown(this.#part("countdown"), this.#retryAt);
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

  get #isMail() {
    return this.dataset.kind === "mail";
  }

  show(snapshot) {
    const { state } = snapshot;
    if (LOST.has(state) && !("title" in this.dataset)) return; // a line of a list, which says so itself
    const known = this.#isMail ? words.states : words.tasks;
    const said = words.afterwords[snapshot.afterword] ?? known[state] ?? known.running;
    const error = snapshot.error ?? {};
    const detail = (["failed", "retrying"].includes(state) ? error.message : snapshot.message) ?? said.detail;
    this.dataset.state = state;
    this.dataset.mood = said.mood;
    this.toggleAttribute("data-final", snapshot.final);
    this.#write("word", said.word);
    this.#write("headline", said.headline);
    this.#write("detail", detail);
    this.#write("pace", state === "running" ? paceWords(snapshot) : "");
    if (!LOST.has(state)) {
      this.#write("counted", countWords(snapshot));
      this.#bar(snapshot);
    }
    const meter = this.#part("meter");
    if (meter) meter.hidden = snapshot.final || state === "queued";
    this.#retryAt = snapshot.retry_at;
    this.#countDown(this.#retryAt);
    if (said.headline !== this.#said) {
      this.#said = said.headline;
      this.#write("live", `${said.headline}. ${detail}`);
    }
    if ("title" in this.dataset) showWay(this.#part("detail"), said);
    if ("title" in this.dataset) this.#page(snapshot, said);
  }

  // Never backwards within an attempt, never full before the end; a new attempt begins at its own count.
  #bar(snapshot) {
    const bar = this.#part("bar");
    const share = shareOf(snapshot, this.#isMail);
    if ((snapshot.attempt ?? 0) > this.#attempt && !this.#isMail) this.#share = 0;
    this.#attempt = Math.max(this.#attempt, snapshot.attempt ?? 0);
    if (share !== null) this.#share = Math.max(this.#share, share);
    if (!bar) return;
    if (share === null) bar.removeAttribute("value");
    else bar.value = this.#share;
  }

  // What stands elsewhere on the task's own page: tab, favicon, the parts for some states.
  #page(snapshot, said) {
    const counts = snapshot.state === "running" && snapshot.total;
    const far = counts ? `${Math.round(this.#share * 100)} %` : said.word;
    document.title = `${far} · ${this.dataset.title} · Mailroom`;
    wearIcon(said.mood);
    const blocks = document.querySelectorAll(`[data-task="${CSS.escape(snapshot.task)}"] > [data-for]`);
    showBlocks(blocks, snapshot.cancellable ? [snapshot.state, "cancellable"] : [snapshot.state], false);
  }

  #stand(word) {
    const line = this.#part("connection");
    if (!line) return;
    const said = lineWords(word, this.hasAttribute("data-final"));
    line.hidden = !said;
    this.#write("connection", said);
    this.#countDown(said ? null : this.#retryAt); // nobody knows whether it still holds
  }

  #countDown(until) {
    const again = this.#part("again");
    if (again) again.hidden = !until;
    countDown(this.#part("countdown"), until);
  }

  #part(name) {
    return this.querySelector(`[data-part="${name}"]`);
  }

  #write(name, text) {
    const part = this.#part(name);
    if (part && part.textContent !== text) part.textContent = text;
  }
}

function countWords({ current, total }) {
  if (current === undefined) return "";
  return total ? `${number(current)} of ${number(total)}` : number(current);
}

function paceWords({ rate, eta }) {
  const said = [];
  if (rate) {
    said.push(rate < 1 ? `${rough(rate * 60)} a minute` : `${rough(rate)} a second`);
  }
  if (eta) said.push(`about ${timeLeft(eta)} left`);
  return said.join(", ");
}

function timeLeft(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

customElements.define("task-progress", TaskProgress);
