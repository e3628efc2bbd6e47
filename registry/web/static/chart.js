// Puts a chart that can be pointed at and zoomed in place of the server's drawing.
// The drawing stays when anything is missing.
(() => {
  "use strict";
  const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const degrees = (v) => v == null ? "–" : v.toFixed(1).replace("-", "−") + " °C (" + (v * 9 / 5 + 32).toFixed(1).replace("-", "−") + " °F)";
  let plot = null, data = null;

  const shade = (u) => {
    const { ctx, bbox } = u;
    ctx.save();
    const top = Math.max(u.valToPos(data.high, "y", true), bbox.top);
    const bottom = Math.min(u.valToPos(data.low, "y", true), bbox.top + bbox.height);
    ctx.fillStyle = token("--c-range");
    if (bottom > top) ctx.fillRect(bbox.left, top, bbox.width, bottom - top);
    for (const [spans, colour] of [[data.unknown, token("--none") + "33"], [data.excursions, token("--c-out")]]) {
      ctx.fillStyle = colour;
      for (const [from, to] of spans) {
        const a = Math.max(u.valToPos(from, "x", true), bbox.left);
        const b = Math.min(u.valToPos(to, "x", true), bbox.left + bbox.width);
        if (b > a) ctx.fillRect(a, bbox.top, Math.max(b - a, 2), bbox.height);
      }
    }
    ctx.strokeStyle = token("--c-limit");
    ctx.setLineDash([8, 5]);
    for (const v of [data.low, data.high]) {
      const y = u.valToPos(v, "y", true);
      if (y < bbox.top || y > bbox.top + bbox.height) continue;
      ctx.beginPath(); ctx.moveTo(bbox.left, y); ctx.lineTo(bbox.left + bbox.width, y); ctx.stroke();
    }
    ctx.restore();
  };

  const load = async (figure) => {
    try {
      const answer = await fetch(figure.dataset.chart, { credentials: "same-origin" });
      const got = answer.ok ? await answer.json() : null;
      return got && got.mean.some((v) => v != null) ? got : null;
    } catch { return null; }
  };
  const columns = () => [data.t, data.max, data.min, data.mean];
  const zoomed = () => plot.scales.x.min > data.from + 1 || plot.scales.x.max < data.to - 1;
  const height = (w) => Math.round(Math.min(360, Math.max(260, w / 2.8)));

  // The temperatures shown: the range, or of a freezer's its upper part, as the
  // server draws it, and every reading.
  const degreesShown = () => {
    const values = [...data.min, ...data.max].filter((v) => v != null);
    const low = Math.min(data.high - data.low > 20 ? data.high - 10 : data.low, ...values);
    const high = Math.max(data.high, ...values);
    return [low - (high - low) * 0.08, high + (high - low) * 0.08];
  };

  const draw = async () => {
    const figure = document.querySelector("[data-chart]");
    if (!figure || typeof uPlot === "undefined") return;
    const got = await load(figure);
    if (!got) return;
    data = got;
    const label = figure.querySelector("[role=img]")?.getAttribute("aria-label") ?? "";
    plot?.destroy();
    const axis = { stroke: token("--minor"), grid: { stroke: token("--c-grid"), width: 1 }, ticks: { stroke: token("--c-grid"), width: 1 } };
    const line = { width: 0, points: { show: false }, value: (_, v) => degrees(v) };
    const box = document.createElement("div");
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", label);
    plot = new uPlot({
      width: figure.clientWidth - 16, height: height(figure.clientWidth),
      tzDate: (s) => uPlot.tzDate(new Date(s * 1000), data.zone),
      scales: {
        x: { range: (_, a, b) => a == null || (a <= data.t[0] && b >= data.t[data.t.length - 1]) ? [data.from, data.to] : [a, b] },
        y: { range: degreesShown },
      },
      axes: [
        { ...axis, values: [[86400, "{MMM} {D}", null, null, null, null, null, null, 1], [3600, "{h} {AA}", "\n{MMM} {D}", null, "\n{MMM} {D}", null, null, null, 1], [60, "{h}:{mm} {AA}", "\n{MMM} {D}", null, "\n{MMM} {D}", null, null, null, 1]] },
        { ...axis, size: 60, values: (_, vs) => vs.map((v) => String(v).replace("-", "−") + "°C") },
      ],
      series: [
        { label: "Time", value: (_, v) => v == null ? "–" : new Date(v * 1000).toLocaleString("en-US", { timeZone: data.zone, month: "short", day: "numeric", hour: "numeric", minute: "2-digit" }) },
        { ...line, label: "Highest", stroke: token("--c-minmax") },
        { ...line, label: "Lowest", stroke: token("--c-minmax") },
        { ...line, label: "Mean", width: 2, stroke: token("--c-mean") },
      ],
      bands: [{ series: [1, 2], fill: token("--c-minmax") + "b0" }],
      hooks: { drawClear: [shade] },
    }, columns(), box);
    figure.replaceChildren(box);
  };

  // refresh takes the chart of a fresh page; false when it is to be put in whole.
  const refresh = (fresh) => {
    const figure = document.querySelector("[data-chart]"), next = fresh.querySelector("[data-chart]");
    if (!plot || !figure || !next || figure.dataset.chart !== next.dataset.chart) return false;
    if (zoomed()) return true; // whoever looks closely is not pulled away
    load(figure).then((got) => {
      if (!got || zoomed()) return;
      data = got;
      plot.setData(columns());
      plot.setScale("x", { min: data.from, max: data.to });
      figure.querySelector("[role=img]")?.setAttribute("aria-label", next.querySelector("[role=img]")?.getAttribute("aria-label") ?? "");
    });
    return true;
  };
  window.coldkeepChart = { refresh };

  let wait = 0;
  addEventListener("resize", () => {
    clearTimeout(wait);
    wait = setTimeout(() => {
      const w = document.querySelector("[data-chart]")?.clientWidth;
      if (plot && w) plot.setSize({ width: w - 16, height: height(w) });
    }, 100);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
