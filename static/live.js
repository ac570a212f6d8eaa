// Follows a running job: whenever something arrived, the page is asked for anew and its parts that changed are put in place.
"use strict";
(() => {
  const main = document.querySelector("main");
  const source = document.querySelector("[data-live]");
  if (!source || !window.EventSource) return;
  const events = new EventSource(source.dataset.live);
  let asking = false, again = false;

  // A part in which somebody types, selects or has unfolded something stays as it is.
  const inUse = (part) => part.contains(document.activeElement) ||
    [...part.querySelectorAll("details[open]")].length > 0 ||
    (!getSelection().isCollapsed && part.contains(getSelection().anchorNode));

  const place = (fresh) => {
    const old = [...main.children], parts = [...fresh.children];
    if (old.length !== parts.length) {
      if (!inUse(main)) main.replaceChildren(...parts);
      return;
    }
    parts.forEach((part, at) => {
      if (!part.isEqualNode(old[at]) && !inUse(old[at])) old[at].replaceWith(part);
    });
  };

  const refresh = async () => {
    if (asking) { again = true; return; }
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        place(page.querySelector("main"));
        document.title = page.title;
      }
    } catch {
      // Away for a moment: the next event asks again.
    }
    asking = false;
    if (again) { again = false; refresh(); }
  };

  events.addEventListener("progress", () => { if (!document.hidden) refresh(); });
  events.addEventListener("settled", () => { events.close(); refresh(); });
  // Refused, as where too many watch: a browser does not come again by itself then.
  events.addEventListener("error", () => {
    if (events.readyState !== EventSource.CLOSED) return;
    const timer = setInterval(() => {
      if (!document.querySelector("[data-live]")) clearInterval(timer);
      else if (!document.hidden) refresh();
    }, 5000);
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
})();
