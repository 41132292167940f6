"use strict";

// The protocol's answers as the objects that callers get.

const { Tier, Decision, ServingState } = require("./enums.js");
const { UnavailableError, UnimplementedError, fromStatus, movedBy } = require("./errors.js");

/** @param {any} model of `ModelRef` @returns {import("../index").Model | undefined} */
function modelOf(model) {
  if (!model) return undefined;
  const { name, version, fingerprint, tier } = model;
  return { name, version, fingerprint, tier: /** @type {import("../index").Tier} */ (Tier.nameOf(tier)) };
}

/** @param {any[]} scores of `LabelScore` @returns {import("../index").LabelScore[]} */
const scoresOf = (scores) => scores.map(({ label, score, selected }) => ({ label, score, selected }));

/**
 * @param {string} text
 * @param {any[]} windows of `Window`
 * @returns {import("../index").Window[]}
 */
function windowsOf(text, windows) {
  if (windows.length === 0) return [];
  const places = placesOf(text);
  return windows.map((one) => ({
    start: places[one.startByte] ?? text.length,
    end: places[one.endByte] ?? text.length,
    startByte: one.startByte,
    endByte: one.endByte,
    label: one.label,
    confidence: one.confidence,
    tier: /** @type {import("../index").Tier} */ (Tier.nameOf(one.tier)),
    scores: scoresOf(one.scores),
    tokenCount: one.tokenCount,
    value: one.value ?? undefined,
  }));
}

/**
 * @param {string[]} texts
 * @param {any} response of `PredictResponse`
 * @returns {import("../index").Prediction[]}
 */
function predictionsOf(texts, response) {
  const models = new Map(response.models.map((/** @type {any} */ model) => [model.tier, modelOf(model)]));
  return response.predictions.map((/** @type {any} */ one, /** @type {number} */ at) => ({
    label: one.label,
    confidence: one.confidence,
    tier: Tier.nameOf(one.tier),
    decision: Decision.nameOf(one.decision),
    model: models.get(one.tier),
    scores: scoresOf(one.scores),
    tokenCount: one.tokenCount,
    truncated: one.truncated,
    value: one.value ?? undefined,
    windows: windowsOf(texts[at], one.windows),
    readSizeBytes: one.readSizeBytes,
    minConfidence: response.minConfidence ?? undefined,
  }));
}

/**
 * What became of each task, over all requests of a call that asked for `names`.
 * @param {{start: number, texts: string[], answer: any}[]} parts with the `PredictResponse` of each
 * @param {string[]} names
 * @returns {Record<string, import("../index").Prediction[] | import("../index").TandemError>}
 */
function taskResultsOf(parts, names) {
  /** @type {Map<string, {answered: number, predictions: import("../index").Prediction[], error?: any}>} */
  const tasks = new Map();
  for (const task of names) if (task !== "*") tasks.set(task, { answered: 0, predictions: [] });
  for (const { start, texts, answer } of parts) {
    if (answer.taskResults.length === 0)
      throw new UnimplementedError("the server is older than requests for several tasks", { code: "UNIMPLEMENTED" });
    for (const { task, response, status } of answer.taskResults) {
      const found = tasks.get(task) ?? { answered: 0, predictions: [] };
      tasks.set(task, found);
      found.answered += 1;
      if (response) found.predictions.push(...predictionsOf(texts, response));
      else found.error ??= movedBy(fromStatus(status), start);
    }
  }
  const results = [...tasks].map(([task, { answered, predictions, error }]) => {
    // All tasks of a server were asked, and it got another one during the call, or lost one.
    if (answered < parts.length)
      error ??= new UnavailableError(`the task ${task} was not answered for all texts`, { code: "UNAVAILABLE" });
    return [task, error ?? predictions];
  });
  return Object.fromEntries(results);
}

/** @param {number} number */
const stateOf = (number) => /** @type {import("../index").ServingState} */ (ServingState.nameOf(number));

/** @param {any} response of `HealthResponse` @returns {import("../index").Health} */
function healthOf(response) {
  const uptime = response.uptimeDuration ?? { seconds: 0, nanos: 0 };
  return {
    state: stateOf(response.state),
    version: response.version,
    uptimeMs: uptime.seconds * 1000 + uptime.nanos / 1e6,
    models: response.models.map((/** @type {any} */ one) => ({
      model: modelOf(one.model),
      state: stateOf(one.state),
      message: one.message,
      queuedTextCount: one.queuedTextCount,
      labels: one.labels,
      maxTokenCount: one.maxTokenCount,
      tasks: one.tasks,
      executionProviders: one.executionProviders.map((/** @type {any} */ provider) => provider.name),
      verified: one.verified,
    })),
    maxTextCount: response.maxTextCount,
    maxTextSizeBytes: response.maxTextSizeBytes,
  };
}

/**
 * Where each byte of a text's UTF-8 stands in the string.
 * @param {string} text
 */
function placesOf(text) {
  const places = [];
  let at = 0;
  for (const character of text) {
    for (let bytes = Buffer.byteLength(character); bytes > 0; bytes--) places.push(at);
    at += character.length;
  }
  places.push(at);
  return places;
}

/**
 * @param {string[]} texts
 * @param {any} response of `ExplainResponse`
 * @returns {import("../index").Explanation[]}
 */
function explanationsOf(texts, response) {
  const model = modelOf(response.model);
  return response.explanations.map((/** @type {any} */ one, /** @type {number} */ index) => {
    const text = texts[index];
    const places = placesOf(text);
    const contributionOf = (/** @type {any} */ { contribution, spans, spanCount }) => ({
      contribution,
      spanCount,
      spans: spans.map((/** @type {any} */ { startByte, endByte }) => {
        const [start, end] = [places[startByte] ?? text.length, places[endByte] ?? text.length];
        return { start, end, text: text.slice(start, end) };
      }),
    });
    return {
      label: one.label,
      confidence: one.confidence,
      labels: one.labels.map((/** @type {any} */ label) => ({
        label: label.label,
        logit: label.logit,
        bias: label.bias,
        otherContribution: label.otherContribution,
        supporting: label.supporting.map(contributionOf),
        opposing: label.opposing.map(contributionOf),
      })),
      featureCount: one.featureCount,
      truncated: one.truncated,
      model,
    };
  });
}

module.exports = { predictionsOf, taskResultsOf, healthOf, explanationsOf };
