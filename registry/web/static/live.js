// Keeps a page up to date: the server says over /live that something has changed,
// the page asks for itself again, and the parts marked data-live are replaced where
// they differ. Without this script a reload does the same.
(() => {
  "use strict";
  const pause = 1500; // ms between two looks, however much happens
  const slow = 60000; // ms after which to look anyway
  let due = 0, busy = false, again = false;

  // A part is left alone while somebody writes, chooses or decides in it.
  const inUse = (part) => {
    const a = document.activeElement;
    if (a && a.tagName === "SELECT" && part.contains(a)) return true;
    if (part.querySelector("details[open] form")) return true;
    return [...part.querySelectorAll("input, textarea")].some((i) => i.type !== "hidden" && i.value !== i.defaultValue);
  };

  const last = new Map(); // what the server said of a part, by id: a browser writes HTML in its own way
  for (const part of document.querySelectorAll("[data-live]")) last.set(part.id, part.innerHTML);

  const replace = (part, fresh) => {
    const html = fresh.innerHTML;
    if (last.get(part.id) === html || inUse(part)) return;
    last.set(part.id, html);
    // A chart that the script has drawn takes the new data in place, and keeps its zoom.
    if (part.id === "chart" && window.coldkeepChart?.refresh(fresh)) return;
    const focus = part.contains(document.activeElement) ? document.activeElement.id : "";
    const open = [...part.querySelectorAll("details[open][id]")].map((d) => d.id);
    part.innerHTML = html;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
  };

  const look = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
      if (answer.redirected && new URL(answer.url).pathname === "/signin") { location.reload(); return; }
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(part.id);
        if (fresh) replace(part, fresh);
      }
    } catch { /* away: the stream comes back by itself, and so does the next look */
    } finally {
      busy = false;
      if (again) { again = false; soon(); }
    }
  };

  const soon = () => {
    if (due) return;
    due = setTimeout(() => { due = 0; look(); }, pause);
  };

  if (document.querySelector("[data-live]")) {
    const stream = new EventSource("/live");
    stream.addEventListener("change", soon);
    let was = true;
    stream.addEventListener("open", () => { if (!was) soon(); was = true; });
    stream.addEventListener("error", () => { was = false; });
    setInterval(() => { if (!document.hidden) soon(); }, slow);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
    addEventListener("pagehide", () => stream.close());
  }
})();
