// Writes down each change of what a page says about a mail, in order: its state, the step that is "now",
// and every sentence put into the live region for people who listen.
window.diary = [];
window.spoken = [];
addEventListener("DOMContentLoaded", () => {
  const mail = document.querySelector("mail-progress");
  if (!mail) return;
  const write = () => {
    const state = mail.dataset.state;
    const step = mail.querySelector('[aria-current="step"]')?.dataset.step ?? null;
    const said = mail.querySelector('[role="status"]')?.textContent ?? "";
    const last = window.diary.at(-1);
    if (last?.state !== state || last?.step !== step) window.diary.push({ state, step });
    if (said && window.spoken.at(-1) !== said) window.spoken.push(said);
  };
  write();
  new MutationObserver(write).observe(mail, { attributes: true, childList: true, characterData: true, subtree: true });
});
