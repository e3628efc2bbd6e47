// Keeps a page up to date: the server says over /live that something has changed,
// the page asks for itself again, and the parts marked data-live are brought up to
// date element by element. Elements stay the same, so focus, open forms and half
// written words stay too, while everything beside them changes. Without this script
// a reload does the same.
(() => {
  "use strict";
  const pause = 1500; // ms between two looks, however much happens
  const slow = 60000; // ms after which to look anyway
  const silence = 8000; // ms without a sign of the server after which the page says so
  let due = 0, busy = false, again = false;

  const typed = (i) => i.type !== "hidden" && (i.value !== i.defaultValue || i.hasAttribute("data-kept"));
  // Somebody writes in it: it stays even when the fresh page no longer has it.
  const written = (el) => el.nodeType === 1 && [...el.querySelectorAll("input, textarea")].some(typed);
  const chosen = (select) => {
    const usual = [...select.options].findIndex((o) => o.defaultSelected);
    return select === document.activeElement || select.selectedIndex !== Math.max(usual, 0);
  };
  const holds = (node) => node.contains(document.activeElement);

  const attributes = (old, fresh) => {
    const keep = (name) => name === "open" && old.localName === "details";
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !keep(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value && !keep(name)) old.setAttribute(name, value);
  };

  // A chart that the script has drawn takes the new data in place, and keeps its zoom.
  let drawing = document.querySelector("[data-chart]")?.outerHTML;
  const chart = (fresh) => {
    if (drawing === fresh.outerHTML) return true;
    drawing = fresh.outerHTML;
    return window.coldkeepChart?.refresh(fresh.parentNode);
  };

  const merge = (old, fresh) => {
    if (old.nodeType !== 1) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    if (old.hasAttribute("data-kept")) return; // what was refused and is being put right
    if (old.hasAttribute("data-chart") && chart(fresh)) return;
    if (old.localName === "select" && chosen(old)) return;
    const mine = old.matches("input, textarea") && typed(old);
    attributes(old, fresh);
    children(old, fresh);
    if (old.matches("input, textarea") && !mine) old.value = old.defaultValue;
  };

  // Children with an id are paired by it, the others by their kind and order.
  const children = (old, fresh) => {
    const byID = new Map(), byKind = new Map();
    for (const n of old.childNodes) {
      if (n.id) byID.set(n.id, n);
      else byKind.set(n.nodeName, [...(byKind.get(n.nodeName) ?? []), n]);
    }
    const want = [...fresh.childNodes].map((f) => {
      const o = f.id ? byID.get(f.id) : byKind.get(f.nodeName)?.shift();
      if (!o || o.nodeName !== f.nodeName) return document.importNode(f, true);
      merge(o, f);
      return o;
    });
    const stay = new Set(want);
    for (const n of [...old.childNodes]) if (!stay.has(n) && !written(n)) n.remove();
    let at = old.firstChild;
    for (const n of want) {
      // To move the element with the focus would take the focus away: the ones in
      // between go behind it instead.
      if (n.parentNode === old && holds(n)) while (at && at !== n) {
        const next = at.nextSibling;
        old.insertBefore(at, n.nextSibling);
        at = next;
      }
      if (n === at) at = at.nextSibling;
      else old.insertBefore(n, at);
    }
  };

  const update = (part, fresh) => {
    const was = part.contains(document.activeElement) ? document.activeElement : null;
    merge(part, fresh);
    if (!was || document.activeElement === was) return;
    const next = was.isConnected ? was : (was.id && document.getElementById(was.id)) || document.getElementById("main");
    next?.focus({ preventScroll: true });
  };

  // What a person sees when the server is gone: since when, and grey cards.
  let heard = Date.now(), ticked = heard, woke = heard, lost = false;
  const notice = document.getElementById("lost");
  // The server's clock is the one that the page's times are of; this one may be off.
  let ahead = (Number(notice?.dataset.now) || heard) - heard;
  const show = () => {
    document.documentElement.classList.toggle("is-lost", lost);
    if (!notice) return;
    const zone = notice.dataset.zone || undefined;
    notice.textContent = lost ? "Not connected since " + new Date(heard + ahead).toLocaleTimeString("en-US", { hour: "numeric", minute: "2-digit", timeZone: zone }) +
      ". Temperatures on this page may be old." : "";
  };
  const sign = () => {
    heard = Date.now();
    if (!lost) return;
    lost = false;
    show();
    soon();
  };

  const look = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      // A page without live parts of its own asks for the banner alone: to open a record
      // again would be one more look at it in the trail.
      const where = document.querySelector("main [data-live]") ? location.href : "/banner";
      const answer = await fetch(where, { headers: { Accept: "text/html", "X-Coldkeep-Live": "1" }, credentials: "same-origin", signal: AbortSignal.timeout(silence) });
      if (answer.status === 401) { location.reload(); return; }
      if (answer.redirected && new URL(answer.url).pathname === "/signin") { location.reload(); return; }
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(part.id);
        if (fresh) update(part, fresh);
      }
      sign();
      ahead = (Number(page.getElementById("lost")?.dataset.now) || heard) - heard;
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
    let stream, was = true;
    const connect = () => {
      stream = new EventSource("/live");
      stream.addEventListener("change", () => { sign(); soon(); });
      stream.addEventListener("here", sign);
      stream.addEventListener("open", () => { sign(); if (!was) soon(); was = true; });
      stream.addEventListener("error", () => {
        was = false;
        if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 5000); // it does not come back by itself
      });
    };
    connect();
    setInterval(() => { if (!document.hidden) soon(); }, slow);
    setInterval(() => {
      const now = Date.now();
      if (now - ticked > silence) woke = now; // the computer, or this page, was asleep: ask before saying anything
      ticked = now;
      if (document.hidden) return;
      if (now - heard > silence / 2) soon();
      if (now - Math.max(heard, woke) > silence && !lost) { lost = true; show(); }
    }, 1000);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) { ticked = 0; soon(); } });
    addEventListener("pagehide", () => stream.close());
    addEventListener("pageshow", (e) => { if (e.persisted) location.reload(); });
  }
})();
