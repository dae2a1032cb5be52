// The inbox's list: new mails come in by themselves.

import { localDate } from "./times.js";

const list = document.getElementById("inbox");
const empty = document.getElementById("empty");
const arrived = document.getElementById("arrived");
const known = new Set([...list.children].map((item) => item.dataset.id));
const url = new URL("/inbox/api/messages", location.href);
url.searchParams.set("limit", "50");
if (list.dataset.to) url.searchParams.set("to", list.dataset.to);

function row(message) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  const main = document.createElement("span");
  const subject = document.createElement("strong");
  const recipient = document.createElement("span");
  const time = document.createElement("time");
  item.dataset.id = message.id;
  item.className = "new";
  link.className = "row";
  link.href = `/inbox/${encodeURIComponent(message.id)}`;
  main.className = "main";
  subject.textContent = message.subject || "(no subject)";
  recipient.className = "recipient";
  recipient.textContent = `to ${message.to}`;
  time.dateTime = message.received_at;
  localDate(time);
  main.append(subject, recipient);
  link.append(main, time);
  item.append(link);
  return item;
}

async function look() {
  try {
    const answer = await fetch(url, { headers: { Accept: "application/json" } });
    if (answer.ok) {
      const fresh = (await answer.json()).filter((message) => !known.has(message.id));
      for (const message of fresh.reverse()) {
        known.add(message.id);
        list.prepend(row(message));
        arrived.textContent = `New mail: ${message.subject || "no subject"}`;
      }
      list.hidden = !list.children.length;
      empty.hidden = Boolean(list.children.length);
    }
  } catch {
    // The server restarts; the next look finds it again.
  }
  setTimeout(look, document.hidden ? 10_000 : 2_000);
}

look();
