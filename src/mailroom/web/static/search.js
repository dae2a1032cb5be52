// Suggestions for a search while it is typed. Without this script the field works all the same.

for (const field of document.querySelectorAll("input[data-suggestions]")) {
  const list = document.getElementById(field.getAttribute("list"));
  let asked = "", timer = 0;
  const suggest = async () => {
    const text = field.value;
    if (text === asked) return;
    asked = text;
    try {
      const answer = await fetch(`${field.dataset.suggestions}?${new URLSearchParams({ q: text })}`);
      if (!answer.ok || field.value !== text) return;
      const { suggestions } = await answer.json();
      list.replaceChildren(...suggestions.map(words => Object.assign(document.createElement("option"), { value: words })));
    } catch {
      // no suggestions then
    }
  };
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(suggest, 120);
  });
  field.addEventListener("focus", suggest, { once: true });
}
