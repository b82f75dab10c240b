// Follows the run at work: the server sends how far it is, and the page shows it. Without this
// script the page has a link to load it again.
"use strict";

(() => {
  const at = document.querySelector("[data-follow]");
  if (!at || !window.EventSource) return;
  const text = at.querySelector("[data-text]");
  const bar = at.querySelector("progress");
  const source = new EventSource(at.dataset.follow);
  source.addEventListener("progress", (event) => {
    const now = JSON.parse(event.data);
    if (text.textContent !== now.text) text.textContent = now.text;
    if (now.total > 0) {
      bar.max = now.total;
      bar.value = now.done;
    } else {
      bar.removeAttribute("value");
    }
  });
  source.addEventListener("end", () => {
    source.close();
    location.reload();
  });
})();
