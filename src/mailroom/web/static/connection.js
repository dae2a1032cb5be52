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

const watched = new Map(); // ticket -> Set of {heard, standing}
let socket = null;
let failures = 0;
let retryTimer = 0;
let pollTimer = 0;
let probeTimer = 0;
let refused = false; // the server said for good that this browser may not

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
    if (event.code >= 4400 && event.code < 4500) {
      refused = true;
      poll();
      return;
    }
    again(event.code === RESTARTING);
  };
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
    await Promise.all([...watched.keys()].map(ask));
    if (pollTimer && watched.size) {
      pollTimer = setTimeout(round, document.hidden ? POLL_EVERY_HIDDEN : POLL_EVERY);
    }
  };
  pollTimer = setTimeout(round, 0);
}

async function ask(ticket) {
  if (ticket === LIST) return stand("polling"); // it asks for itself
  try {
    const answer = await fetch(`/api/v1/tasks/${encodeURIComponent(ticket)}`, {
      headers: { Accept: "application/json" },
      signal: AbortSignal.timeout(10_000),
    });
    if (answer.status === 404) {
      tell({ task: ticket, state: "unknown", final: true });
    } else if (answer.ok) {
      tell(await answer.json());
    } else {
      throw new Error(answer.statusText);
    }
    stand("polling");
  } catch {
    stand("reconnecting");
  }
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
  if (!socket) connect();
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
  if (event.persisted) connect();
});
