// Times in the reader's own clock, and countdowns.

// The zone that a member has chosen, else the browser's.
const { timeZone } = document.documentElement.dataset;
// The page's language, but as the browser's region writes it (en-GB, de-AT), where that is a kind of it.
const { lang } = document.documentElement;
const locale = [...navigator.languages].find((one) => new Intl.Locale(one).language === new Intl.Locale(lang).language) ?? lang;
const clock = new Intl.DateTimeFormat(locale, { timeZone, hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(locale, { timeZone, dateStyle: "medium", timeStyle: "short" });
const ahead = new Intl.RelativeTimeFormat(lang, { numeric: "auto" });
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

// "in 40 seconds", "in 3 minutes", "now": in the page's language, in the steps of kit/text.py.
export function inTime(seconds) {
  for (const [least, unit, name] of [[172_800, 86_400, "day"], [5_400, 3_600, "hour"], [90, 60, "minute"]]) {
    if (seconds >= least) return ahead.format(Math.round(seconds / unit), name);
  }
  return ahead.format(Math.max(0, seconds), "second");
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
    element.textContent = inTime(Math.ceil((until - Date.now()) / 1000));
  };
  tick();
  running.set(element, setInterval(tick, 1000));
}
