// Times in the reader's own clock, and countdowns.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const running = new WeakMap();

export function localTime(element, iso) {
  const text = iso ? clock.format(new Date(iso)) : "";
  if (element.textContent !== text) element.textContent = text;
  if (iso) element.dateTime = iso;
  else element.removeAttribute("datetime");
}

export function localDate(element) {
  element.textContent = day.format(new Date(element.dateTime));
}

export function localiseAll(root = document) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    if ("date" in element.dataset) localDate(element);
    else localTime(element, element.dateTime);
  }
}

export function inWords(seconds) {
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} minutes` : `${Math.round(minutes / 60)} hours`;
}

// How far the server's clock is ahead of this one, in milliseconds: the page says when it was written.
function skew() {
  const [navigation] = performance.getEntriesByType("navigation");
  const arrived = performance.timeOrigin + (navigation?.responseStart ?? 0);
  return Date.parse(document.body.dataset.now) - arrived || 0;
}

// Counts down to a moment of the server's clock in `element`; null ends it.
export function countDown(element, iso) {
  if (!element) return;
  clearInterval(running.get(element));
  if (!iso) return;
  const until = Date.parse(iso) - skew();
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    element.textContent = left > 0 ? `in ${inWords(left)}` : "now";
  };
  tick();
  running.set(element, setInterval(tick, 1000));
}
