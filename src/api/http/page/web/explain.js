// An explanation: the text with its n-grams coloured by what they add to a label, and the same as figures.

import { el, percent, svg } from "./dom.js";

const LEVELS = 5;

/** The place in a string (UTF-16) of each byte of its UTF-8. */
function placesOfBytes(text) {
  const places = [];
  let place = 0;
  for (const character of text) {
    const bytes = new TextEncoder().encode(character).length;
    for (let at = 0; at < bytes; at += 1) places.push(place);
    place += character.length;
  }
  places.push(place);
  return places;
}

/** What each place of a text adds to a label: a contribution is shared by all places of its n-grams. */
function weights(text, contributions) {
  const places = placesOfBytes(text);
  const found = new Float64Array(text.length);
  for (const { contribution, spans } of contributions) {
    const ranges = spans
      .map((span) => [places[span.startByte], places[span.endByte]])
      .filter(([from, to]) => to > from);
    const wide = ranges.reduce((sum, [from, to]) => sum + (to - from), 0);
    for (const [from, to] of ranges) for (let at = from; at < to; at += 1) found[at] += contribution / wide;
  }
  return found;
}

/** The text in pieces of one colour each: blue speaks for the label, orange against it. */
function coloured(text, contributions) {
  const found = weights(text, contributions);
  const most = found.reduce((most, weight) => Math.max(most, Math.abs(weight)), 0);
  const level = (at) => (most === 0 ? 0 : Math.round((LEVELS * found[at]) / most));
  const pieces = [];
  let from = 0;
  let at = 0;
  for (const character of text) {
    if (level(at) !== level(from)) {
      pieces.push([from, at]);
      from = at;
    }
    at += character.length;
  }
  pieces.push([from, at]);
  return pieces
    .filter(([from, to]) => to > from)
    .map(([from, to]) => {
      const of = level(from);
      const part = text.slice(from, to);
      if (of === 0) return part;
      return el("span", { class: of > 0 ? `for${of}` : `against${-of}` }, part);
    });
}

const signed = (figure) => `${figure < 0 ? "−" : "+"}${Math.abs(figure).toFixed(3)}`;

/** An n-gram as it stands in the text, with its spaces seen. */
function ngram(text, contribution) {
  const places = placesOfBytes(text);
  const shown = contribution.spans.map((span) => text.slice(places[span.startByte], places[span.endByte]));
  const first = shown.find((part) => part !== "") ?? "";
  const name = first === "" ? "the edge of the text" : first.replaceAll(/\s/g, "␣");
  return [el("code", { dir: "auto" }, name), contribution.spanCount > 1 ? ` ×${contribution.spanCount}` : ""];
}

/** One side of an explanation: n-grams with what they add, as figures and as bars of a common scale. */
function side(text, title, kind, contributions, most) {
  if (contributions.length === 0) return el("div", {}, el("h3", {}, title), el("p", { class: "soft" }, "none"));
  const share = ({ contribution }) => (most > 0 ? Math.abs(contribution) / most : 0);
  return el(
    "div",
    {},
    el("h3", {}, title),
    el(
      "ul",
      { class: "ngrams" },
      contributions.map((item) =>
        el(
          "li",
          {},
          el("span", {}, ngram(text, item)),
          svg(
            "svg",
            { class: `bar ${kind}`, viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
            svg("rect", { class: "value", width: Math.max(1, 100 * share(item)), height: 6 }),
          ),
          el("span", { class: "figure" }, signed(item.contribution)),
        ),
      ),
    ),
  );
}

function of(text, label) {
  const listed = [...label.supporting, ...label.opposing];
  const sum = listed.reduce((sum, { contribution }) => sum + contribution, 0);
  const most = listed.reduce((most, { contribution }) => Math.max(most, Math.abs(contribution)), 0);
  return [
    el("p", { class: "coloured", dir: "auto" }, coloured(text, listed)),
    el(
      "p",
      { class: "legend", "aria-hidden": "true" },
      el("span", { class: "for3" }, "speaks for"),
      " ",
      el("span", { class: "against3" }, "speaks against"),
    ),
    el(
      "div",
      { class: "sides" },
      side(text, `For “${label.label}”`, "for", label.supporting, most),
      side(text, `Against “${label.label}”`, "against", label.opposing, most),
    ),
    el(
      "p",
      { class: "soft" },
      `Bias ${signed(label.bias)}, listed n-grams ${signed(sum)}, all others ` +
        `${signed(label.otherContribution)}: the raw output is ${signed(label.logit)}, exactly their sum.`,
    ),
  ];
}

/** An answer of `/v1/explain` for one text. */
export function explanation(text, answer) {
  const [found] = answer.explanations;
  const labels = found.labels;
  const body = el("div");
  const show = (name) => body.replaceChildren(...of(text, labels.find((label) => label.label === name) ?? labels[0]));
  const choice = el(
    "select",
    { onchange: (event) => show(event.target.value) },
    labels.map(({ label }) => el("option", { value: label, selected: label === found.label }, label)),
  );
  show(found.label);
  return el(
    "div",
    { class: "explanation" },
    el(
      "p",
      {},
      "The model ",
      el("code", {}, answer.model.name),
      " by itself says ",
      el("b", { dir: "auto" }, found.label || "no label"),
      `, with ${percent(found.confidence)}. It saw ${found.featureCount} features`,
      found.truncated ? " of a part of the text." : ".",
    ),
    labels.length > 1 ? el("label", { class: "inline" }, "What speaks for the label ", choice) : undefined,
    body,
  );
}
