// The bench: every move of a slider asks this machine for the closed forms of that place.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("bench-data").textContent);
  const $ = (id) => document.getElementById(id);
  const make = (tag, text, kind) => Object.assign(document.createElement(tag), text === undefined ? {} : { textContent: text }, kind ? { className: kind } : {});
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const safe = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const STEPS = 400, CODE = "protection.menu", PLANES = "protection.planes";
  const inputs = new Map();
  let measured = [], here = null, asked = 0, waiting = false;

  const ask = async (name, body) => {
    const answer = await fetch(name, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    return found;
  };

  const places = () => Object.fromEntries([...inputs].map(([path, read]) => [path, read()]));

  const toStep = (s, v) => STEPS * (s.log ? Math.log(v / s.low) / Math.log(s.high / s.low) : (v - s.low) / (s.high - s.low));
  const fromStep = (s, n) => Number((s.log ? s.low * (s.high / s.low) ** (n / STEPS) : s.low + ((s.high - s.low) * n) / STEPS).toPrecision(4));

  const slider = (s) => {
    const box = make("div", undefined, "slider"), label = make("label", `${s.title} (${s.unit === "us" ? "µs" : s.unit === "degC" ? "°C" : s.unit})`);
    const exact = Object.assign(make("input"), { type: "number", step: "any", value: s.value, id: `at-${s.path}` });
    const range = Object.assign(make("input"), { type: "range", min: 0, max: STEPS, step: 1, value: toStep(s, s.value) });
    label.htmlFor = exact.id;
    range.setAttribute("aria-label", s.title);
    range.dataset.path = s.path;
    range.addEventListener("input", () => {
      exact.value = fromStep(s, Number(range.value));
      moved();
    });
    exact.addEventListener("input", () => {
      range.value = toStep(s, Number(exact.value));
      moved();
    });
    inputs.set(s.path, () => (exact.value === "" ? s.value : Number(exact.value)));
    box.append(label, exact, range);
    return { box, reset: () => { exact.value = s.value; range.value = toStep(s, s.value); } };
  };

  const protection = () => {
    const box = make("div", undefined, "slider"), label = make("label", "Code"), code = make("select"), count = make("label");
    const planes = Object.assign(make("input"), { type: "range", min: 0, max: data.planes, step: 1, value: 1 });
    code.append(...[data.as_said, ...data.codes].map((name) => Object.assign(make("option", name), { value: name })));
    code.id = "at-code";
    label.htmlFor = code.id;
    planes.setAttribute("aria-label", "protected planes");
    planes.dataset.path = PLANES;
    const shown = () => {
      planes.disabled = code.value === data.as_said;
      count.textContent = planes.disabled ? "Protected planes: as in the study" : `Protected planes: ${planes.value} of ${data.planes}, the most significant`;
    };
    for (const one of [code, planes]) one.addEventListener("input", () => { shown(); moved(); });
    inputs.set(CODE, () => code.value);
    inputs.set(PLANES, () => Number(planes.value));
    shown();
    box.append(label, code, count, planes);
    return { box, reset: () => { code.value = data.as_said; planes.value = 1; shown(); } };
  };

  // One question at a time; the last place that was moved to is the one that is answered.
  const moved = async () => {
    asked += 1;
    if (waiting) return;
    waiting = true;
    try {
      for (let answered = 0; answered !== asked; ) {
        answered = asked;
        show(await ask("known", places()));
      }
    } catch (error) {
      refuse(error.message);
    } finally {
      waiting = false;
    }
  };

  const refuse = (text) => {
    $("error").textContent = text;
    $("error").hidden = !text;
  };

  const show = (found) => {
    here = found;
    refuse(found.error ?? "");
    if (!found.error)
      $("figures").tBodies[0].replaceChildren(...found.figures.map((row) => {
        const made = make("tr");
        made.append(make("td", row.title), make("td", `${row.value} ${row.unit}`.trim()), make("td", row.note));
        return made;
      }));
    $("figures").classList.toggle("old", Boolean(found.error));
    $("took").textContent = `closed form in ${found.milliseconds} ms`;
    $("set").textContent = found.set.map((change) => `--set '${change}'`).join(" ") || "the study as it is";
    $("warnings").hidden = !found.warnings.length;
    $("warnings").replaceChildren(...found.warnings.map((text) => make("p", text)));
    draw();
  };

  const layout = (x, y) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: ink("--font"), color: ink("--ink"), size: 12 },
    margin: { l: 55, r: 10, t: 10, b: 45 }, showlegend: false, hovermode: "closest", dragmode: false,
    xaxis: { gridcolor: ink("--grid"), zeroline: false, automargin: true, ...x }, yaxis: { gridcolor: ink("--grid"), zeroline: false, automargin: true, ...y },
  });

  const draw = () => {
    const against = $("against").value, config = { responsive: true, displayModeBar: false };
    const error = (end, sign) => measured.map((m) => (m[end] === null ? 0 : sign * (m[end] - m.score)));
    const text = measured.map((m) => `<b>${safe(m.label)}</b><br>${m.score.toFixed(1)} %${m.low === null ? "" : ` [${m.low.toFixed(1)} to ${m.high.toFixed(1)}]`}, ${m.maps} maps`);
    const marks = [{ type: "scatter", mode: "markers", x: measured.map((m) => m[against]), y: measured.map((m) => m.score), text, hoverinfo: "text",
      marker: { size: 10, color: "#0072b2" }, error_y: { type: "data", symmetric: false, array: error("high", 1), arrayminus: error("low", -1), color: "#0072b2" } }];
    const guess = here && here.figures.find((row) => row.title === "Predicted score");
    if (guess && Number.isFinite(Number(guess.value)) && here[against] !== null)
      marks.push({ type: "scatter", mode: "markers", x: [here[against]], y: [Number(guess.value)], text: [`here, predicted: ${safe(guess.value)} %`], hoverinfo: "text",
        marker: { size: 12, symbol: "diamond-open", color: ink("--ink") } });
    Plotly.react($("points"), marks, layout({ title: { text: against === "area_mm2" ? "Area (mm²)" : "Energy per inference (µJ)" } }, { title: { text: "Score (%)" } }), config);
    const curve = (here && here.retention) || [];
    Plotly.react($("retention"), [{ type: "scatter", mode: "lines+markers", x: curve.map((p) => p[0]), y: curve.map((p) => p[1]), line: { color: "#009e73" },
      hovertemplate: "%{y:.2e} of cells failed after %{x:.3s}s<extra></extra>" }],
      layout({ type: "log", title: { text: "Time without refresh" }, exponentformat: "SI", ticksuffix: "s" }, { type: "log", title: { text: "Share of cells failed" }, exponentformat: "power" }), config);
  };

  const watch = async () => {
    for (;;) {
      const state = await ask("state", {});
      const learned = $("state").dataset.learning === "true" && !state.learning;
      $("state").dataset.learning = state.learning;
      measured = state.measured;
      const busy = state.learning ? "measuring this network's curve …" : state.running ? `measuring, ${state.running} to go …` : `${measured.length} measured`;
      $("state").textContent = [busy, ...state.errors.slice(-1)].join("; ");
      if (learned) moved();
      draw();
      if (!state.running) return;
      await new Promise((done) => setTimeout(done, 500));
    }
  };

  const start = () => {
    const parts = [...data.sliders.map(slider), protection()];
    $("controls").append(...parts.map((part) => part.box));
    $("reset").addEventListener("click", () => {
      for (const part of parts) part.reset();
      moved();
    });
    $("measure").addEventListener("click", async () => {
      try {
        await ask("measure", places());
        await watch();
      } catch (error) {
        refuse(error.message);
      }
    });
    $("save").addEventListener("click", async () => {
      try {
        const file = await ask("text", places()), link = make("a");
        link.href = URL.createObjectURL(new Blob([file.text], { type: "text/yaml" }));
        link.download = file.name;
        link.click();
        URL.revokeObjectURL(link.href);
      } catch (error) {
        refuse(error.message);
      }
    });
    $("copy").addEventListener("click", async () => {
      await navigator.clipboard.writeText($("set").textContent);
      $("copy").textContent = "copied";
    });
    $("against").addEventListener("change", draw);
    moved();
    watch();
  };
  start();
})();
