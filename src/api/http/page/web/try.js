// The form: classifies what a person wrote, and shows the answers with their reasons and times.

import { call, Refused } from "./api.js";
import { byId, el, millis, percent, svg, time } from "./dom.js";
import { explanation } from "./explain.js";

/** The most lines that are taken at once, and the most texts of one request. */
const MOST_TEXTS = 2000;
const TEXTS_A_REQUEST = 64;

const TIERS = { TIER_FAST: "fast", TIER_DEEP: "deep" };
const WHY = {
  DECISION_CONFIDENT: "The fast model was sure enough.",
  DECISION_ESCALATED: "The fast model was not sure enough, so the deep one answered.",
  DECISION_FALLBACK_DEADLINE: "The deep model had no time left, so the fast one answered.",
  DECISION_FALLBACK_OVERLOAD: "The deep model had no room, so the fast one answered.",
  DECISION_ABSTAINED: "No model was sure enough, so no answer is given.",
};

/** What the form says: texts, task, route, threshold. */
export function read(form) {
  const text = form.elements.text.value.replaceAll("\r\n", "\n");
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const threshold = form.elements.min_confidence;
  return {
    texts: form.elements.lines.checked ? lines : [text].filter((whole) => whole.trim() !== ""),
    task: form.elements.task.value,
    route: form.elements.route.value,
    minConfidence: threshold.disabled || threshold.value === "" ? undefined : Number(threshold.value),
  };
}

function bar(share, kind) {
  return svg(
    "svg",
    { class: `bar ${kind}`, viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "track", width: 100, height: 6, rx: 1 }),
    svg("rect", { class: "value", width: Math.max(0, Math.min(100, 100 * share)), height: 6, rx: 1 }),
  );
}

function why(prediction, asked) {
  if (prediction.decision !== "DECISION_REQUESTED") return WHY[prediction.decision] ?? "";
  return asked.route ? "The form asked for this model." : "It is the task's default route.";
}

function explainer(text, asked) {
  const place = el("div");
  const button = el("button", { type: "button", class: "plain", "aria-expanded": "false" }, "Explain");
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-expanded") === "true") {
      button.setAttribute("aria-expanded", "false");
      place.replaceChildren();
      return;
    }
    button.disabled = true;
    place.replaceChildren(el("p", { role: "status" }, "Explaining …"));
    try {
      const question = { texts: [text], ...(asked.task ? { task: asked.task } : {}) };
      place.replaceChildren(explanation(text, await call("v1/explain", question)));
    } catch (problem) {
      const message =
        problem.reason === "NOT_EXPLAINABLE" || problem.reason === "TIER_NOT_CONFIGURED"
          ? "Only a model that adds up n-grams can be explained, and this task has none."
          : problem.message;
      place.replaceChildren(el("p", { class: "note", role: "alert" }, message));
    }
    button.setAttribute("aria-expanded", "true");
    button.disabled = false;
  });
  return [button, place];
}

function answer(text, prediction, asked) {
  const tier = TIERS[prediction.tier] ?? "";
  const [button, place] = explainer(text, asked);
  // Of two labels the other has the rest.
  const others =
    prediction.scores.length > 2 ? prediction.scores.slice(1).filter((score) => score.score >= 0.0005) : [];
  const figure =
    prediction.value === undefined
      ? [bar(prediction.confidence, tier), el("span", { class: "figure" }, percent(prediction.confidence))]
      : el("span", { class: "figure" }, String(prediction.value));
  return el(
    "li",
    {},
    el("p", { class: "text", dir: "auto" }, text),
    el(
      "p",
      { class: "verdict" },
      el("strong", { dir: "auto" }, prediction.label || (prediction.value === undefined ? "no label" : "value")),
      figure,
      el("span", { class: `chip ${tier}` }, tier),
    ),
    others.length > 0
      ? el(
          "p",
          { class: "soft" },
          "then ",
          others.map((score, at) => [
            at > 0 ? ", " : "",
            el("span", { dir: "auto" }, score.label),
            ` ${percent(score.score)}`,
          ]),
        )
      : undefined,
    el(
      "div",
      { class: "because" },
      el(
        "p",
        {},
        why(prediction, asked),
        " ",
        el(
          "span",
          { class: "soft" },
          `${prediction.tokenCount} ${tier === "fast" ? "features" : "tokens"}${prediction.truncated ? ", the text was cut" : ""}`,
        ),
      ),
      button,
    ),
    place,
  );
}

/** Adds the timing of one more request to a sum. */
function add(sum, timing) {
  sum.total += millis(timing.totalDuration);
  sum.parts.preprocess += millis(timing.preprocessDuration);
  for (const tier of timing.tiers) {
    const name = TIERS[tier.tier] ?? "";
    sum.parts[`${name} queue`] = (sum.parts[`${name} queue`] ?? 0) + millis(tier.queueDuration);
    sum.parts[`${name} inference`] = (sum.parts[`${name} inference`] ?? 0) + millis(tier.inferenceDuration);
  }
}

function timings(sum, models) {
  const rest = Math.max(0, sum.total - Object.values(sum.parts).reduce((all, part) => all + part, 0));
  const parts = Object.entries({ ...sum.parts, "routing and the rest": rest });
  let left = 0;
  const drawn = parts.map(([name, ms]) => {
    const width = sum.total > 0 ? (100 * ms) / sum.total : 0;
    const part = svg("rect", { class: `part ${name.replaceAll(" ", "-")}`, x: left, width, height: 8 });
    left += width;
    return part;
  });
  return [
    el("h3", {}, "Where the time went"),
    svg("svg", { class: "times", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" }, drawn),
    el(
      "dl",
      { class: "times" },
      parts.map(([name, ms]) =>
        el(
          "div",
          {},
          el("dt", {}, el("span", { class: `swatch ${name.replaceAll(" ", "-")}`, "aria-hidden": "true" }), name),
          el("dd", {}, time(ms)),
        ),
      ),
    ),
    el(
      "p",
      { class: "soft" },
      `${time(sum.total)} in the server, ${time(sum.outside)} with the way there and back. `,
      models.length > 0
        ? ["Answered by ", models.map((model, at) => [at > 0 ? " and " : "", el("code", {}, model)]), "."]
        : "",
    ),
  ];
}

function summary(predictions) {
  const count = (pick) => {
    const found = new Map();
    for (const prediction of predictions) found.set(pick(prediction), (found.get(pick(prediction)) ?? 0) + 1);
    return [...found]
      .sort((a, b) => b[1] - a[1])
      .slice(0, 6)
      .map(([name, times]) => `${times} ${name}`)
      .join(", ");
  };
  return `${count((prediction) => prediction.label || "without a label")} · ${count((prediction) => `${TIERS[prediction.tier]}`)}`;
}

export function problemOf(problem) {
  const violations = problem.fields ?? [];
  const fields =
    violations.length > 1
      ? el(
          "ul",
          {},
          violations.map(({ field, description }) => el("li", {}, el("code", {}, field), " ", description)),
        )
      : undefined;
  const again = problem.retryAfterMs === undefined ? "" : ` It may be tried again in ${time(problem.retryAfterMs)}.`;
  const id = problem.requestId
    ? el("span", { class: "soft" }, " Request ", el("code", {}, problem.requestId))
    : undefined;
  return el(
    "div",
    { class: "note" },
    el("p", {}, el("b", {}, problem.reason ? `${problem.reason}: ` : ""), problem.message, again, id),
    fields,
  );
}

let running = new AbortController();

/** Asks the server about what the form says, a part at a time. */
async function ask(form, onRefused) {
  running.abort();
  const mine = new AbortController();
  running = mine;
  const asked = read(form);
  const [status, problem, answers, times] = ["status", "problem", "answers", "times"].map(byId);
  problem.replaceChildren();
  if (asked.texts.length === 0) {
    status.textContent = "Write a text first.";
    form.elements.text.focus();
    return;
  }
  const texts = asked.texts.slice(0, MOST_TEXTS);
  const left = asked.texts.length - texts.length;
  answers.replaceChildren();
  times.replaceChildren();
  byId("results").hidden = false;
  status.textContent = "Asking …";
  const sum = { total: 0, outside: 0, parts: { preprocess: 0 } };
  const predictions = [];
  const models = new Set();
  try {
    while (predictions.length < texts.length) {
      const part = texts.slice(predictions.length, predictions.length + TEXTS_A_REQUEST);
      const question = { texts: part, topK: 3 };
      if (asked.task) question.task = asked.task;
      if (asked.route) question.route = `ROUTE_${asked.route.toUpperCase()}`;
      if (asked.minConfidence !== undefined) question.minConfidence = asked.minConfidence;
      const began = performance.now();
      const found = await call("v1/predict", question, mine.signal);
      sum.outside += performance.now() - began;
      add(sum, found.timing);
      for (const { name, version } of found.models) models.add(`${name}@${version}`);
      answers.append(...found.predictions.map((prediction, at) => answer(part[at], prediction, asked)));
      predictions.push(...found.predictions);
    }
  } catch (refused) {
    if (refused.name === "AbortError") return;
    if (!(refused instanceof Refused)) throw refused;
    problem.replaceChildren(problemOf(refused));
    onRefused(refused, () => ask(form, onRefused));
  }
  const done = predictions.length;
  status.textContent =
    done === 0
      ? "No answer."
      : `${done} ${done === 1 ? "text" : "texts"} in ${time(sum.total)}: ${summary(predictions)}${left > 0 ? `. ${left} more were left out` : ""}`;
  if (done > 0) times.replaceChildren(...timings(sum, [...models]));
}

/** Makes the form ask without leaving the page. `onRefused` hears of a refusal, and can have it tried again. */
export function start(form, onRefused) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask(form, onRefused);
  });
  form.elements.text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
}
