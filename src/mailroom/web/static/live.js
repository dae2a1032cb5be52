// <mail-progress ticket="…">: keeps the timeline the server drew up to date, in place.
// The words and what is drawn are those of web/words.py and web/progress_view.py.

import { subscribe } from "./connection.js";
import { LOST, lineWords, shareOf, showBlocks, showWay, wearIcon, words } from "./progress.js";
import { countDown, localTime } from "./times.js";

const ORDER = words.order;
const PROBLEM = new Set(["retrying", "failed", "expired", "cancelled"]);

// The newer of two snapshots of a task is decided by the server; here only what was already true stays true.
class MailProgress extends HTMLElement {
  #leave = null;
  #share = 0;
  #said = "";
  #retryAt = null;

  connectedCallback() {
    this.#share = this.#part("bar")?.value ?? 0;
    this.#said = this.#part("headline")?.textContent ?? "";
    this.#retryAt = this.#part("countdown")?.dataset.until || null;
    this.#countDown(this.#retryAt);
    const ticket = this.getAttribute("ticket");
    this.#leave = subscribe(ticket, (snapshot) => this.show(snapshot), (word) => this.#stand(word));
    mirror(ticket, this.dataset);
  }

  disconnectedCallback() {
    this.#leave?.();
    countDown(this.#part("countdown"), null);
  }

  show(snapshot) {
    if (this.dataset.afterword && !snapshot.afterword) return;
    const { state, final } = snapshot;
    const error = snapshot.error ?? {};
    const said = words.afterwords[snapshot.afterword] ?? words.states[state] ?? words.states.running;
    const known = this.#sentences(snapshot, said, error);
    this.dataset.state = state;
    this.dataset.mood = said.mood;
    this.toggleAttribute("data-final", final);
    if (snapshot.afterword) this.dataset.afterword = snapshot.afterword;
    this.#write("headline", known.headline);
    this.#write("detail", known.detail);
    showWay(this.#part("detail"), said);
    this.#retryAt = snapshot.afterword ? null : snapshot.retry_at;
    this.#countDown(this.#retryAt);
    if (LOST.has(state)) {
      return this.#end(snapshot, known);
    }
    const code = [error.code, error.enhanced].filter(Boolean).join(" ");
    this.#write("code", code);
    this.#write("answer", withoutCode(error));
    this.#part("server").hidden = !code && !error.answer;
    const since = state === "retrying" && !snapshot.afterword ? error.since : null;
    this.#part("since").hidden = !since;
    localTime(this.#part("since").querySelector("time"), since);
    this.#bar(snapshot);
    this.#route(snapshot);
    this.#history(snapshot);
    this.#end(snapshot, known);
  }

  #end(snapshot, known) {
    if (known.headline !== this.#said) {
      this.#said = known.headline;
      this.#write("live", `${known.headline}. ${known.detail}`);
    }
    mirror(snapshot.task, this.dataset);
    this.dispatchEvent(new CustomEvent("mail-progress", { bubbles: true, detail: snapshot }));
  }

  #sentences(snapshot, said, error) {
    if (snapshot.afterword) return said;
    let detail = snapshot.message;
    const held = snapshot.state === "uncertain" && snapshot.final;
    if (held || ["queued", "retrying", "failed"].includes(snapshot.state)) detail = error.message ?? detail;
    else if (snapshot.state === "sending") detail = words.stages[snapshot.stage];
    return { headline: said.headline, detail: detail ?? said.detail };
  }

  #bar(snapshot) {
    const bar = this.#part("bar");
    this.#share = Math.max(this.#share, shareOf(snapshot, true));
    bar.value = this.#share;
  }

  #route(snapshot) {
    const attempt = snapshot.attempt ?? 0;
    const times = {};
    for (const entry of snapshot.timeline ?? []) {
      if (entry.stage === "queued") times.queued ??= entry.at;
      else if ((entry.attempt ?? attempt) === attempt) times[entry.stage] = entry.at;
    }
    let reached = 0;
    ORDER.forEach((stage, index) => {
      if (snapshot.state !== "queued" && (times[stage] || stage === snapshot.stage)) reached = index;
    });
    for (const item of this.#part("route").children) {
      const index = ORDER.indexOf(item.dataset.step);
      const status = statusOf(snapshot.state, index, reached);
      item.dataset.status = status;
      item.querySelector('[data-part="standing"]').textContent = words.statuses[status];
      if (status === "now") item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
      localTime(item.querySelector("time"), status === "todo" ? null : times[item.dataset.step]);
    }
  }

  #history(snapshot) {
    const timeline = snapshot.timeline ?? [];
    const eventful = (snapshot.attempt ?? 0) > 1 || timeline.some((e) => ["retrying", "uncertain"].includes(e.stage));
    this.#part("history").hidden = !eventful;
    if (!eventful) return;
    const lines = timeline.toReversed?.() ?? [...timeline].reverse();
    const attempt = this.#part("history").dataset.attempt;
    this.#part("events").replaceChildren(...lines.map((entry) => eventLine(entry, attempt)));
  }

  #stand(word) {
    const isOver = this.dataset.afterword || this.hasAttribute("data-final");
    const said = lineWords(word, isOver);
    this.#part("connection").hidden = !said;
    this.#write("connection", said);
    this.#countDown(said ? null : this.#retryAt); // nobody knows whether it still holds
  }

  #countDown(until) {
    this.#part("again").hidden = !until;
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

function statusOf(state, index, reached) {
  if (state === "sent" || index < reached) return "done";
  const stopped = PROBLEM.has(state) ? "problem" : state === "uncertain" ? "unsure" : null;
  if (stopped) return index === reached ? "done" : index === reached + 1 ? stopped : "todo";
  return index === reached && state !== "unknown" ? "now" : "todo";
}

function withoutCode({ answer = "", enhanced }) {
  const lines = answer.split("\n");
  return lines.map((line) => (enhanced && line.startsWith(enhanced) ? line.slice(enhanced.length).trimStart() : line)).join("\n");
}

function eventLine(entry, attempt) {
  const line = document.createElement("li");
  const time = document.createElement("time");
  const what = document.createElement("span");
  localTime(time, entry.at);
  what.textContent = words.events[entry.stage] ?? entry.stage;
  line.append(time, what);
  if (entry.attempt) {
    const which = document.createElement("small");
    which.textContent = attempt.replace("{}", entry.attempt);
    line.append(which);
  }
  return line;
}

// What stands elsewhere on the page about the same mail: postmark, tab, favicon, the parts for some states.
function mirror(ticket, { state, mood, afterword }) {
  const said = words.afterwords[afterword] ?? words.states[state] ?? words.states.running;
  for (const mark of document.querySelectorAll(`[data-mirrors="${CSS.escape(ticket)}"]`)) {
    mark.dataset.mood = mood;
    mark.firstElementChild.textContent = said.word;
    document.title = `${said.word} · Mailroom`;
    wearIcon(mood);
  }
  const blocks = document.querySelectorAll(`[data-mail="${CSS.escape(ticket)}"] [data-for]`);
  showBlocks(blocks, [afterword ?? state], !afterword);
}

customElements.define("mail-progress", MailProgress);
