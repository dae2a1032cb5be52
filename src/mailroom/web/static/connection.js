// One websocket for every <mail-progress> of the page; polling where websockets do not get through.
// subscribe(ticket, heard, standing) calls heard(snapshot) with each news, standing(word) with how the line is:
// "open" or "polling" (what is shown is true), "connecting", "reconnecting" or "offline" (it may be out of date).

import { Polling } from "./polling.js";
import { inSite } from "./site.js";

// Watched like tickets: the list of one's own, and for operators the desk's overview. It is told that they changed.
export const LIST = "tasks";
export const DESK = "desk";

const FIRST_WAIT = 400; // milliseconds until the second try; doubles
const LONGEST_WAIT = 15_000;
const TRIES_BEFORE_POLLING = 3;
const HANDSHAKE = 8_000;
const ANSWER_WITHIN = 5_000;
const SAY_AFTER = 2_000; // a page that has no answer yet after this says that it connects
const QUIET = 30_000; // after this without a word the line is tried: one that is dead does not say so
const RESTARTING = 1012; // RFC 6455's registry: the server restarts, come back
const SESSION_ENDED = 4401; // or it changed: this browser signed in or out
const NO_NEWS = "connecting"; // state of a snapshot where the server itself cannot know: what was shown stays

const watched = new Map(); // ticket -> Set of {heard, standing}
const over = new Set(); // tickets that ended; only what comes after the end may still be told of them
let socket = null;
let failures = 0;
let retryTimer = 0;
let probeTimer = 0;
let sayTimer = 0;
let quietTimer = 0;
let refused = false; // the server said for good that this browser may not
let ended = false; // the session this page was opened with is over
let renewing = false; // the page tries once whether the browser has a new session that may watch

const polling = new Polling(() => [...watched.keys()], { tell, stand, isOver: () => ended, giveUp });

export function subscribe(ticket, heard, standing) {
  const entry = { heard, standing };
  const first = !watched.has(ticket);
  if (first) watched.set(ticket, new Set());
  watched.get(ticket).add(entry);
  if (socket?.readyState === WebSocket.OPEN) {
    socket.send(JSON.stringify({ watch: [ticket] }));
  } else {
    connect();
  }
  return () => {
    const entries = watched.get(ticket);
    entries?.delete(entry);
    if (entries && !entries.size) {
      watched.delete(ticket);
      over.delete(ticket);
      if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ unwatch: [ticket] }));
    }
    if (!watched.size) rest();
  };
}

function tell(snapshot) {
  if (snapshot.state === "unknown") {
    // The page knows more than the server says: it was allowed to watch when it was opened.
    snapshot = { ...snapshot, state: ended ? "signed-out" : "unknown", message: undefined };
  }
  if (snapshot.final) over.add(snapshot.task);
  else over.delete(snapshot.task);
  for (const entry of watched.get(snapshot.task) ?? []) entry.heard(snapshot);
}

function stand(word, tickets = watched.keys()) {
  const line = word.endsWith("connecting") && !navigator.onLine ? "offline" : word;
  for (const ticket of tickets) for (const entry of watched.get(ticket) ?? []) entry.standing(line);
}

function connect() {
  clearTimeout(retryTimer);
  if (socket || refused || !watched.size) return;
  const url = new URL(inSite("/live?view=1"));
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const mine = (socket = new WebSocket(url));
  const tooLong = setTimeout(() => mine.close(), HANDSHAKE);
  clearTimeout(sayTimer);
  sayTimer = setTimeout(() => polling.on || stand("connecting"), SAY_AFTER);
  mine.onopen = () => {
    clearTimeout(tooLong);
    mine.send(JSON.stringify({ watch: [...watched.keys()] }));
  };
  mine.onmessage = (event) => hear(JSON.parse(event.data));
  mine.onclose = (event) => {
    clearTimeout(tooLong);
    if (socket === mine) lose(event.code);
  };
}

function hear(snapshot) {
  for (const timer of [probeTimer, sayTimer]) clearTimeout(timer);
  listen();
  renewing = false;
  failures = 0;
  polling.stop();
  if (!snapshot.task) return;
  if (snapshot.state === NO_NEWS) return stand("connecting", [snapshot.task]);
  stand("open", [snapshot.task]);
  tell(snapshot);
}

function lose(code) {
  socket = null;
  for (const timer of [probeTimer, sayTimer, quietTimer]) clearTimeout(timer);
  if (code === SESSION_ENDED && !renewing) return renew();
  if (renewing) {
    renewing = false;
    polling.start(); // which is told whether it is the session or the network
  } else if (code >= 4400 && code < 4500) {
    refused = true;
    return polling.start();
  }
  again(code === RESTARTING);
}

// Signing in or confirming gives the browser another session, which may watch on; signing out gives it none.
function renew() {
  ended = renewing = true;
  refused = false;
  connect();
}

function giveUp() {
  ended = refused = true;
  for (const timer of [retryTimer, sayTimer]) clearTimeout(timer);
  polling.stop();
  stand("open"); // nothing is connected any more, and what is told now is true
}

function again(soon) {
  if (!watched.size || refused) return;
  failures += 1;
  const wait = soon && failures === 1 ? FIRST_WAIT : Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures);
  // Jitter: after a restart not every browser comes back in the same instant.
  retryTimer = setTimeout(connect, wait * (0.5 + Math.random()));
  if (failures >= TRIES_BEFORE_POLLING) polling.start();
  else if (failures > 1) stand("reconnecting"); // a blink is not worth a word
}

function rest() {
  for (const timer of [retryTimer, probeTimer, sayTimer, quietTimer]) clearTimeout(timer);
  polling.stop();
  const old = socket;
  socket = null;
  old?.close();
}

// Someone is looking again, or the network is back: no reason to wait out a long pause.
function wake() {
  if (document.hidden || !watched.size) return;
  if (refused && ended) renew(); // perhaps signed in again meanwhile
  else if (!socket) connect();
  else if (socket.readyState === WebSocket.OPEN) probe(socket);
  polling.hurry();
}

// A laptop that slept, another network: a line can be dead and neither end know. Whoever watches anew is answered.
function probe(mine) {
  clearTimeout(probeTimer);
  probeTimer = setTimeout(() => {
    if (socket !== mine) return;
    mine.close(); // which takes its time on a dead line, and is not waited for
    lose(0);
  }, ANSWER_WITHIN);
  mine.send(JSON.stringify({ watch: [...watched.keys()] }));
}

function listen() {
  clearTimeout(quietTimer);
  quietTimer = setTimeout(() => {
    const waits = [...watched.keys()].some((ticket) => !over.has(ticket));
    if (waits && !document.hidden && socket?.readyState === WebSocket.OPEN) probe(socket);
    listen();
  }, QUIET);
}

function cutOff() {
  stand("offline");
  if (socket?.readyState === WebSocket.OPEN) probe(socket); // perhaps the server is on this very machine
}

document.addEventListener("visibilitychange", wake);
addEventListener("online", wake);
addEventListener("offline", cutOff);
// A page kept for the back button must not hold a socket, or it is not kept.
addEventListener("pagehide", rest);
addEventListener("pageshow", (event) => {
  if (event.persisted) wake();
});
