// One websocket for every <mail-progress> of the page; polling where websockets do not get through.
// subscribe(ticket, heard, standing) calls heard(snapshot) with each news, standing(word) with how the line is:
// "open", "reconnecting" or "polling".

export const LIST = "tasks"; // watched like a ticket: the list of one's own, of which it is told that it changed

const FIRST_WAIT = 400; // milliseconds until the second try; doubles
const LONGEST_WAIT = 15_000;
const TRIES_BEFORE_POLLING = 3;
const POLL_EVERY = 2_000;
const POLL_EVERY_HIDDEN = 15_000;
const HANDSHAKE = 8_000;
const ANSWER_WITHIN = 5_000;
const RESTARTING = 1012; // RFC 6455's registry: the server restarts, come back
const SESSION_ENDED = 4401; // or it changed: this browser signed in or out

const watched = new Map(); // ticket -> Set of {heard, standing}
let socket = null;
let failures = 0;
let retryTimer = 0;
let pollTimer = 0;
let probeTimer = 0;
let refused = false; // the server said for good that this browser may not
let ended = false; // the session this page was opened with is over
let renewing = false; // the page tries once whether the browser has a new session that may watch

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
      if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ unwatch: [ticket] }));
    }
    if (!watched.size) rest();
  };
}

function tell(snapshot) {
  if (ended && snapshot.state === "unknown") snapshot = { ...snapshot, state: "signed-out", message: undefined };
  for (const entry of watched.get(snapshot.task) ?? []) entry.heard(snapshot);
}

function stand(word) {
  for (const entries of watched.values()) for (const entry of entries) entry.standing(word);
}

function connect() {
  clearTimeout(retryTimer);
  if (socket || refused || !watched.size) return;
  const url = new URL("/live", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const mine = (socket = new WebSocket(url));
  const tooLong = setTimeout(() => mine.close(), HANDSHAKE);
  mine.onopen = () => {
    clearTimeout(tooLong);
    mine.send(JSON.stringify({ watch: [...watched.keys()] }));
  };
  mine.onmessage = (event) => {
    clearTimeout(probeTimer);
    renewing = false;
    if (failures || pollTimer) {
      failures = 0;
      stopPolling();
    }
    stand("open");
    const snapshot = JSON.parse(event.data);
    if (snapshot.task) tell(snapshot);
  };
  mine.onclose = (event) => {
    clearTimeout(tooLong);
    if (socket !== mine) return;
    socket = null;
    if (event.code === SESSION_ENDED && !renewing) return renew();
    if (renewing) {
      renewing = false;
      poll(); // which is told whether it is the session or the network
    } else if (event.code >= 4400 && event.code < 4500) {
      refused = true;
      return poll();
    }
    again(event.code === RESTARTING);
  };
}

// Signing in or confirming gives the browser another session, which may watch on; signing out gives it none.
function renew() {
  ended = renewing = true;
  refused = false;
  connect();
}

function again(soon) {
  if (!watched.size) return;
  failures += 1;
  const wait = soon && failures === 1 ? FIRST_WAIT : Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures);
  // Jitter: after a restart not every browser comes back in the same instant.
  retryTimer = setTimeout(connect, wait * (0.5 + Math.random()));
  if (failures >= TRIES_BEFORE_POLLING) poll();
  else if (failures > 1) stand("reconnecting"); // a blink is not worth a word
}

function poll() {
  if (pollTimer || !watched.size) return;
  const round = async () => {
    const may = await Promise.all([...watched.keys()].map(ask));
    if (ended && !may.includes(true)) return giveUp();
    if (pollTimer && watched.size) {
      pollTimer = setTimeout(round, document.hidden ? POLL_EVERY_HIDDEN : POLL_EVERY);
    }
  };
  pollTimer = setTimeout(round, 0);
}

// Returns false where this browser may not watch it; true otherwise, also where nobody knows.
async function ask(ticket) {
  try {
    const path = ticket === LIST ? "?limit=1" : `/${encodeURIComponent(ticket)}`;
    const answer = await fetch(`/api/v1/tasks${path}`, {
      headers: { Accept: "application/json" },
      signal: AbortSignal.timeout(10_000),
    });
    if (answer.status === 404 || answer.status === 401) {
      tell({ task: ticket, state: "unknown", final: true });
      return false;
    } else if (answer.ok) {
      if (ticket !== LIST) tell(await answer.json()); // the list fetches itself
    } else {
      throw new Error(answer.statusText);
    }
    stand("polling");
  } catch {
    stand("reconnecting");
  }
  return true;
}

function giveUp() {
  refused = true;
  clearTimeout(retryTimer);
  stopPolling();
}

function stopPolling() {
  clearTimeout(pollTimer);
  pollTimer = 0;
}

function rest() {
  clearTimeout(retryTimer);
  stopPolling();
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
  if (pollTimer) {
    stopPolling();
    poll();
  }
}

// A laptop that slept, another network: a line can be dead and neither end know. Whoever watches anew is answered.
function probe(mine) {
  clearTimeout(probeTimer);
  probeTimer = setTimeout(() => {
    if (socket !== mine) return;
    socket = null;
    mine.close();
    connect();
  }, ANSWER_WITHIN);
  mine.send(JSON.stringify({ watch: [...watched.keys()] }));
}

document.addEventListener("visibilitychange", wake);
addEventListener("online", wake);
// A page kept for the back button must not hold a socket, or it is not kept.
addEventListener("pagehide", rest);
addEventListener("pageshow", (event) => {
  if (event.persisted) wake();
});
