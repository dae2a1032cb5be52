/* <mailroom-progress token="…">: where a mail or a task is, live, in any page. No dependencies, no cookie.

   Use: <script type="module" src="YOUR-MAILROOM/embed.js"></script>
        <mailroom-progress token="…"></mailroom-progress>
   or:  import { subscribe } from "YOUR-MAILROOM/embed.js"
        const stop = subscribe(token, news => …)

   Parts for ::part(): box, word, detail, bar. Variables: --mailroom-accent, --mailroom-good, --mailroom-bad,
   --mailroom-unsure, --mailroom-track, --mailroom-font. Languages: those that Mailroom speaks; the `lang` attribute of the
   element or of a parent decides, then the browser. An event `mailroom:news` bubbles from the element with each change. */

const HERE = new URL(import.meta.url);
// Mailroom's own address: of the host, or of a path of it. Where the script was copied elsewhere, the host's.
const OURS = HERE.origin + (/^(.*?)(\/static)?\/embed\.js$/.exec(HERE.pathname)?.[1] ?? "");
const at = (base, path) => new URL(path, base.replace(/\/*$/, "/"));
const FIRST_PAUSE = 500, LONGEST_PAUSE = 30_000, POLL_SECONDS = 25;
const SOCKET_TRIES = 2;  // failed handshakes in a row until polling takes over: a proxy may let no socket through

const ENGLISH = {
  connecting: "Connecting…", offline: "No connection. Trying again…", scheduled: "Scheduled", queued: "Waiting",
  sending: "Sending", retrying: "Waiting to try again", uncertain: "Probably delivered", sent: "Accepted",
  failed: "Failed", expired: "Given up", cancelled: "Cancelled", suppressed: "Held back", running: "Working",
  done: "Done", unknown: "Nothing to show", origin: "This page may not show it", of: "{sent} of {total} sent",
  progress: "Progress",
};
const SHARES = {queued: .06, claimed: .25, connected: .5, "handing over": .75, accepted: 1};
const MOODS = {
  sent: "good", done: "good", failed: "bad", expired: "bad", cancelled: "bad", suppressed: "bad", unknown: "bad",
  retrying: "unsure", uncertain: "unsure",
};

/** Call `tell` with each change of what `token` opens, its sentences in `language`; return a function that ends that. */
export function subscribe(token, tell, {base = OURS, language = languageOf(document.documentElement)} = {}) {
  return channel(base, language).add(token, tell);
}

const channels = new Map();
const channel = (base, language) => {
  const name = `${language} ${base}`;
  if (!channels.has(name)) channels.set(name, new Channel(base, language));
  return channels.get(name);
};
const languageOf = element => element.closest("[lang]")?.lang || navigator.language || "en";

/** One connection to one Mailroom, shared by all elements of the page: a websocket, or polling where that fails. */
class Channel {
  #base; #language; #listeners = new Map(); #last = new Map(); #socket = null; #pause = FIRST_PAUSE; #failed = 0; #polls = new Map();

  constructor(base, language) { this.#base = base; this.#language = encodeURIComponent(language); }

  add(token, tell) {
    if (!this.#listeners.has(token)) {
      this.#listeners.set(token, new Set());
      this.#watch(token);
    }
    this.#listeners.get(token).add(tell);
    if (this.#last.has(token)) tell(this.#last.get(token));
    return () => this.#remove(token, tell);
  }

  #remove(token, tell) {
    const listeners = this.#listeners.get(token);
    if (!listeners?.delete(tell) || listeners.size) return;
    this.#listeners.delete(token);
    this.#last.delete(token);
    this.#polls.get(token)?.abort();
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({unwatch: [token]}));
    if (!this.#listeners.size) this.#socket?.close(1000);
  }

  #watch(token) {
    if (this.#failed >= SOCKET_TRIES) this.#poll(token);
    else if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({watch: [token]}));
    else if (!this.#socket) this.#connect();
  }

  #pending() { return [...this.#listeners.keys()].filter(token => !this.#last.get(token)?.final); }

  #connect() {
    const url = at(this.#base, `embed/live?lang=${this.#language}`);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = this.#socket = new WebSocket(url);
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.#failed = 0;
      const tokens = this.#pending();
      if (tokens.length) socket.send(JSON.stringify({watch: tokens}));
    };
    socket.onmessage = message => {
      const {token, ...news} = JSON.parse(message.data);
      this.#pause = FIRST_PAUSE;
      this.#tell(token, news);
    };
    socket.onclose = event => {
      this.#socket = null;
      if (!opened) this.#failed++;
      const pending = this.#pending();
      if (!pending.length) return;
      if (event.code >= 4400 && event.code < 4500 || this.#failed >= SOCKET_TRIES) {
        pending.forEach(token => this.#poll(token));
        return;
      }
      pending.forEach(token => this.#tell(token, {...this.#last.get(token), offline: true}));
      setTimeout(() => this.#socket ?? this.#connect(), this.#rest());
    };
  }

  /** Ask by HTTP, again and again: each answer waits for news. */
  async #poll(token) {
    if (this.#polls.has(token)) return;
    const ending = new AbortController();
    this.#polls.set(token, ending);
    let tag = "";
    while (this.#listeners.has(token) && !ending.signal.aborted) {
      try {
        const asked = `lang=${this.#language}&wait=${tag ? POLL_SECONDS : 0}`;
        const url = at(this.#base, `api/v1/watch/${encodeURIComponent(token)}?${asked}`);
        const answer = await fetch(url, {
          headers: tag ? {"If-None-Match": tag} : {}, signal: ending.signal, credentials: "omit", cache: "no-store",
        });
        if (answer.status === 403 || answer.status === 404) {
          this.#tell(token, {state: "unknown", reason: answer.status === 403 ? "origin" : "unknown", final: true});
        } else if (answer.ok) {
          tag = answer.headers.get("ETag") ?? "";
          this.#tell(token, await answer.json());
        } else if (answer.status !== 304) throw new Error(answer.statusText);
        this.#pause = FIRST_PAUSE;
        if (this.#last.get(token)?.final) break;
        if (!tag) await rest(this.#rest());
      } catch {
        if (ending.signal.aborted) break;
        this.#tell(token, {...this.#last.get(token), offline: true});
        await rest(this.#rest());
      }
    }
    this.#polls.delete(token);
  }

  #rest() {
    const pause = this.#pause * (.5 + Math.random());
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
    return pause;
  }

  #tell(token, news) {
    this.#last.set(token, news);
    this.#listeners.get(token)?.forEach(tell => tell(news));
  }
}

const spoken = new Map();
/** Return the words of the language that Mailroom speaks and that suits a page in `language`; English where none does. */
const wordsIn = (base, language) => {
  const url = at(base, `embed/words?lang=${encodeURIComponent(language)}`);
  if (/^en\b/i.test(language)) return {language: "en", words: ENGLISH};
  if (!spoken.has(url.href)) {
    spoken.set(url.href, fetch(url, {credentials: "omit"})
      .then(answer => answer.ok ? answer.json() : Promise.reject(answer.status))
      .then(({language, words}) => ({language, words: {...ENGLISH, ...words}}))
      .catch(() => ({language: "en", words: ENGLISH})));
  }
  return spoken.get(url.href);
};

const rest = milliseconds => new Promise(wake => setTimeout(wake, milliseconds));

const LOOK = `
  :host { display: block; font-family: var(--mailroom-font, inherit); }
  [part=box] { display: grid; gap: .35em; }
  [part=word] { font-weight: 600; }
  [part=detail]:empty { display: none; }
  [part=detail] { opacity: .8; font-size: .9em; }
  [part=bar] { height: .4em; border-radius: 1em; overflow: hidden; background: var(--mailroom-track, #8884); }
  [part=bar] > span { display: block; height: 100%; width: 0; transition: width .3s; border-radius: inherit;
    background: var(--mailroom-accent, #2563eb); }
  [data-mood=good] [part=bar] > span { background: var(--mailroom-good, #15803d); }
  [data-mood=bad] [part=bar] > span { background: var(--mailroom-bad, #b91c1c); }
  [data-mood=unsure] [part=bar] > span { background: var(--mailroom-unsure, #b45309); }
  @media (prefers-reduced-motion: reduce) { [part=bar] > span { transition: none; } }`;

class MailroomProgress extends HTMLElement {
  static observedAttributes = ["token"];
  #stop = null; #parts = null; #words = ENGLISH; #news = {state: "connecting"};

  connectedCallback() {
    if (!this.#parts) this.#build();
    this.#speak();
    this.#begin();
  }

  disconnectedCallback() { this.#stop?.(); this.#stop = null; }

  attributeChangedCallback() { if (this.isConnected && this.#parts) this.#begin(); }

  #begin() {
    this.#stop?.();
    this.#stop = null;
    const token = this.getAttribute("token");
    if (token) this.#stop = subscribe(token, news => this.#show(news), {base: this.#base, language: languageOf(this)});
  }

  get #base() { return this.getAttribute("base") ?? OURS; }

  async #speak() {
    const {language, words} = await wordsIn(this.#base, languageOf(this));
    this.#parts.box.lang = language;
    this.#words = words;
    this.#show(this.#news);
  }

  #build() {
    const root = this.attachShadow({mode: "open"});
    const look = new CSSStyleSheet();
    look.replaceSync(LOOK);
    root.adoptedStyleSheets = [look];  // no <style>: it works under the strictest policy of the page
    const make = (name, part) => Object.assign(document.createElement(name), {part});
    const box = make("div", "box"), word = make("span", "word"), detail = make("span", "detail"), bar = make("div", "bar");
    const fill = document.createElement("span");
    word.setAttribute("role", "status");
    bar.setAttribute("role", "progressbar");
    bar.setAttribute("aria-valuemin", "0");
    bar.setAttribute("aria-valuemax", "100");
    bar.append(fill);
    box.append(word, detail, bar);
    root.append(box);
    this.#parts = {box, word, detail, bar, fill};
    this.#show(this.#news);
  }

  #show(news) {
    this.#news = news;
    const {box, word, detail, bar, fill} = this.#parts, number = new Intl.NumberFormat(box.lang || "en").format, words = this.#words, state = news.state ?? "connecting";
    const text = news.offline ? words.offline : news.reason === "origin" ? words.origin : words[state] ?? state;
    if (word.textContent !== text) word.textContent = text;
    const counted = news.object === "message" && news.total > 1;
    detail.textContent = counted
      ? words.of.replace("{sent}", number(news.counts.sent ?? 0)).replace("{total}", number(news.total))
      : news.error?.message ?? news.message ?? "";
    box.dataset.mood = MOODS[state] ?? "moving";
    const share = this.#share(news, state, counted);
    bar.setAttribute("aria-label", words.progress);
    bar.setAttribute("aria-valuetext", text);
    bar.toggleAttribute("hidden", share === null);
    if (share !== null) {
      bar.setAttribute("aria-valuenow", Math.round(share * 100));
      fill.style.width = `${share * 100}%`;
    }
    this.dispatchEvent(new CustomEvent("mailroom:news", {detail: news, bubbles: true, composed: true}));
  }

  #share(news, state, counted) {
    if (state === "unknown") return null;
    if (news.final && !counted) return 1;
    if (counted) return Object.entries(news.counts).reduce(
      (sum, [name, count]) => sum + (["queued", "scheduled", "connecting", "retrying", "sending"].includes(name) ? 0 : count), 0,
    ) / news.total;
    if (news.total && news.object !== "message") return Math.min(1, (news.current ?? 0) / news.total);
    return SHARES[news.stage] ?? SHARES[state] ?? (news.object === "task" ? null : .06);
  }
}

customElements.get("mailroom-progress") ?? customElements.define("mailroom-progress", MailroomProgress);
