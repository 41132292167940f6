// The curve of a task's cascade: accuracy over cost, the threshold in force, and a slider that moves along it.

import { el, percent, svg, table } from "./dom.js";

const WIDTH = 640;
const HEIGHT = 300;
const EDGE = { left: 56, right: 16, top: 16, bottom: 44 };

/** What the curve says at a threshold: measured there, or on the straight line between the two measured points. */
export function at(curve, threshold) {
  const above = curve.findIndex((point) => point.minConfidence >= threshold);
  if (above === 0) return curve[0];
  if (above < 0) return curve[curve.length - 1];
  const [a, b] = [curve[above - 1], curve[above]];
  const along = (threshold - a.minConfidence) / (b.minConfidence - a.minConfidence);
  const mixed = (name) => a[name] + along * (b[name] - a[name]);
  return Object.fromEntries(Object.keys(b).map((name) => [name, mixed(name)]));
}

/** Round figures from low to high, at most about five of them. */
function ticks(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((step) => step * power >= rough) ?? 10);
  const found = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step / 1e6; tick += step) found.push(tick);
  return found;
}

function chart(curve, chosen, name) {
  const lowest = Math.min(...curve.map((point) => point.accuracyLow));
  const highest = Math.max(...curve.map((point) => point.accuracyHigh));
  const [low, high] = highest > lowest ? [lowest, highest] : [lowest - 0.01, highest + 0.01];
  const most = Math.max(1, ...curve.map((point) => point.cost));
  const x = (cost) => EDGE.left + (cost / most) * (WIDTH - EDGE.left - EDGE.right);
  const y = (share) => EDGE.top + ((high - share) / (high - low)) * (HEIGHT - EDGE.top - EDGE.bottom);
  const line = (points) => points.map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join(" ");
  const band = [
    ...curve.map((point) => [x(point.cost), y(point.accuracyHigh)]),
    ...curve.toReversed().map((point) => [x(point.cost), y(point.accuracyLow)]),
  ];
  const digits = high - low < 0.02 ? 1 : 0;
  const here = svg("circle", { class: "here", r: 7 });
  const drop = svg("line", { class: "drop", y2: HEIGHT - EDGE.bottom });
  const drawing = svg(
    "svg",
    {
      class: "curve",
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: "img",
      "aria-label": `${name} over cost; the table below has the figures`,
    },
    ticks(low, high).map((tick) => [
      svg("line", { class: "grid", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(tick), y2: y(tick) }),
      svg("text", { x: EDGE.left - 8, y: y(tick) + 4, "text-anchor": "end" }, percent(tick, digits)),
    ]),
    ticks(0, most).map((tick) =>
      svg("text", { x: x(tick), y: HEIGHT - EDGE.bottom + 18, "text-anchor": "middle" }, tick.toFixed(1)),
    ),
    svg("line", {
      class: "axis",
      x1: EDGE.left,
      x2: WIDTH - EDGE.right,
      y1: HEIGHT - EDGE.bottom,
      y2: HEIGHT - EDGE.bottom,
    }),
    svg(
      "text",
      { x: (EDGE.left + WIDTH - EDGE.right) / 2, y: HEIGHT - 6, "text-anchor": "middle" },
      "cost (the deep model for every text: 1)",
    ),
    svg("polygon", { class: "band", points: line(band) }),
    svg("polyline", { class: "line", points: line(curve.map((point) => [x(point.cost), y(point.accuracy)])) }),
    curve.map((point) => svg("circle", { class: "point", cx: x(point.cost), cy: y(point.accuracy), r: 2.5 })),
    chosen ? svg("circle", { class: "chosen", cx: x(chosen.cost), cy: y(chosen.accuracy), r: 5 }) : undefined,
    drop,
    here,
  );
  const move = (point) => {
    for (const [name, value] of [
      ["cx", x(point.cost)],
      ["cy", y(point.accuracy)],
    ])
      here.setAttribute(name, value);
    for (const name of ["x1", "x2"]) drop.setAttribute(name, x(point.cost));
    drop.setAttribute("y1", y(point.accuracy));
  };
  return [drawing, move];
}

const figure = (value) => String(Number(value.toFixed(4)));

function certificates(cascade) {
  if (cascade.certificates.length === 0) return undefined;
  const texts = (certificate) =>
    certificate.measure === "precision"
      ? `the answers${certificate.label ? ` ${certificate.label}` : ""} from a confidence of ${figure(certificate.answersFrom)}`
      : "texts";
  return el(
    "ul",
    { class: "certificates" },
    cascade.certificates.map((certificate) =>
      el(
        "li",
        {},
        `${certificate.measure === "agreement" ? "Agrees with the deep model" : "Is right"} on at least `,
        el("b", {}, percent(certificate.atLeast, 2)),
        ` of ${texts(certificate)} at the threshold ${figure(certificate.minConfidence)} `,
        el(
          "span",
          { class: "soft" },
          `(certified at a confidence of ${percent(certificate.confidence, 0)}, on ${certificate.textCount} texts)`,
        ),
      ),
    ),
  );
}

function measured(task, use) {
  const { cascade } = task;
  const { curve } = cascade;
  const name = cascade.againstDeep ? "Agreement with the deep model" : "Accuracy";
  const inForce = cascade.minConfidence;
  const [drawing, move] = chart(curve, inForce === undefined ? undefined : at(curve, inForce), name);
  // The slider says its figures itself (aria-valuetext): no live region besides.
  const told = el("div");
  const slider = el("input", {
    type: "range",
    id: `threshold-${task.name}`,
    min: 0,
    max: 1,
    step: 0.0001,
    value: inForce ?? 0.5,
  });
  const show = () => {
    const threshold = Number(slider.value);
    const point = at(curve, threshold);
    move(point);
    slider.setAttribute(
      "aria-valuetext",
      `${figure(threshold)}: ${percent(point.escalatedShare, 0)} escalated, cost ${point.cost.toFixed(2)}, ${percent(point.accuracy)}`,
    );
    const line = (title, value) => el("div", {}, el("dt", {}, title), el("dd", {}, value));
    told.replaceChildren(
      el(
        "dl",
        { class: "told" },
        line("threshold", [
          el("b", {}, figure(threshold)),
          threshold === inForce ? el("span", { class: "chip good" }, "in force") : undefined,
        ]),
        line("go to the deep model", `${percent(point.escalatedShare, 0)} of texts`),
        line("cost", point.cost.toFixed(2)),
        line(name.toLowerCase(), [
          el("b", {}, percent(point.accuracy)),
          " ",
          el("span", { class: "soft" }, `${percent(point.accuracyLow)} to ${percent(point.accuracyHigh)}`),
        ]),
      ),
    );
  };
  slider.addEventListener("input", show);
  show();
  const back = () => {
    slider.value = inForce;
    show();
  };
  const rows = curve.map((point) => [
    figure(point.minConfidence),
    percent(point.escalatedShare, 0),
    point.cost.toFixed(3),
    percent(point.accuracy, 2),
    `${percent(point.accuracyLow)} to ${percent(point.accuracyHigh)}`,
  ]);
  return [
    el(
      "div",
      { class: "curve-and-slider" },
      el(
        "figure",
        {},
        drawing,
        el(
          "figcaption",
          {},
          `${name} over cost, measured on ${Number(cascade.measuredTextCount).toLocaleString("en")} texts. `,
          "The band is the 95% interval. The green point is the threshold in force, the ring is the slider's; ",
          "between measured points it follows the straight line.",
        ),
      ),
      el(
        "div",
        {},
        el("label", { for: slider.id }, "Threshold of confidence"),
        slider,
        told,
        el(
          "p",
          {},
          el(
            "button",
            { type: "button", class: "plain", onclick: () => use(task.name, slider.value) },
            "Try it in the form",
          ),
          " ",
          inForce === undefined
            ? undefined
            : el("button", { type: "button", class: "plain", onclick: back }, "Back to the one in force"),
        ),
        certificates(cascade),
      ),
    ),
    el(
      "details",
      {},
      el("summary", {}, "The figures"),
      table(
        `${name} at each measured threshold`,
        ["threshold", "escalated", "cost", name.toLowerCase(), "95% interval"],
        rows,
      ),
    ),
  ];
}

function unmeasured(cascade) {
  const inForce = cascade.minConfidence;
  return [
    el(
      "p",
      { class: "note" },
      inForce === undefined
        ? "It is not calibrated: a request must name its own threshold. "
        : `Its threshold is ${figure(inForce)}, by the configuration; nobody measured what that costs. `,
      "Run ",
      el("code", {}, "tandem calibrate"),
      " on labelled texts for a curve.",
    ),
    cascade.message
      ? el("p", { class: "soft" }, `A calibration was found and is not used: ${cascade.message}`)
      : undefined,
  ];
}

/** The cascade of each task that has one. `use(task, threshold)` puts a threshold into the form. */
export function cascades(tasks, use) {
  const found = tasks.filter((task) => task.cascade);
  if (found.length === 0) {
    return [el("p", {}, "No task of this server has both a fast and a deep model, so there is no cascade.")];
  }
  return found.map((task) =>
    el(
      "div",
      { class: "task" },
      found.length > 1 ? el("h3", {}, task.name) : undefined,
      el(
        "p",
        { class: "wide" },
        "The fast model reads every text. Where it is at least as sure as the threshold, its answer stands; " +
          "the other texts go to the deep model.",
      ),
      task.cascade.curve.length > 1 ? measured(task, use) : unmeasured(task.cascade),
    ),
  );
}
