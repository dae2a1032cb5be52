// A mail of the inbox, as high as its content: one page to scroll, not a frame inside it.

for (const frame of document.querySelectorAll(".letter iframe")) {
  const fit = () => {
    const root = frame.contentDocument?.documentElement;
    if (!root) return;
    frame.classList.add("fits");
    frame.height = 0; // or it never gets smaller than it is
    frame.height = root.scrollHeight;
  };
  frame.addEventListener("load", fit);
  addEventListener("resize", fit);
  fit();
}
