"use strict";

// Checks what callers give, and makes the protocol's messages of it. Each error names the option as the caller wrote it.

const { invalid } = require("./errors.js");
const { Route, ScoreKind, Truncation, Priority, shown } = require("./enums.js");

/** @typedef {(name: string, value: unknown) => void} Check */

/** @type {(low: number, high: number) => Check} */
const integer = (low, high) => (name, value) => {
  if (!Number.isInteger(value) || /** @type {number} */ (value) < low || /** @type {number} */ (value) > high)
    throw invalid(name, `must be a whole number from ${low} to ${high}`);
};
/** @type {(type: string) => Check} */
const of = (type) => (name, value) => {
  if (typeof value !== type) throw invalid(name, `is ${shown(value)}, it must be a ${type}`);
};
/** @type {Check} */
const duration = (name, value) => {
  // A timer of Node holds 31 bits.
  if (!(typeof value === "number" && value > 0 && value < 2 ** 31)) throw invalid(name, "must be a number of milliseconds above 0");
};
/** @type {Check} */
const confidence = (name, value) => {
  if (!(typeof value === "number" && value >= 0 && value <= 1)) throw invalid(name, "must be a number from 0 to 1");
};
/** @type {Check} */
const precision = (name, value) => {
  if (!(typeof value === "number" && value > 0 && value < 1)) throw invalid(name, "must be a number above 0 and below 1");
};
/** @type {Check} */
const signal = (name, value) => {
  if (!(value instanceof AbortSignal)) throw invalid(name, "must be an AbortSignal");
};
/** @type {Check} */
const requestId = (name, value) => {
  if (typeof value !== "string" || !/^[\w\-.:/+=]{1,128}$/.test(value))
    throw invalid(name, "must have from 1 to 128 letters, digits and -_.:/+=");
};
/** @type {Check} */
const tls = (name, value) => {
  if (typeof value === "boolean") return;
  if (typeof value !== "object" || value === null) throw invalid(name, "must be true, false or certificates");
  checkOptions(value, { ca: pem, cert: pem, key: pem, serverName: of("string") }, `${name}.`);
};
/** @type {Check} */
const pem = (name, value) => {
  if (typeof value !== "string" && !Buffer.isBuffer(value)) throw invalid(name, "must be PEM, a string or a Buffer");
};
/** @type {Check} */
const token = (name, value) => {
  if (typeof value !== "string" || !/^[\x21-\x7e]+$/.test(value)) throw invalid(name, "must be printable ASCII without spaces");
};
/** @type {Check} */
const anything = () => {};

const CALL = { timeoutMs: duration, signal, requestId };
const TARGET = { task: of("string"), model: of("string"), truncation: anything, route: anything };
const PREDICT = {
  ...CALL,
  ...TARGET,
  textPairs: anything,
  topK: integer(0, 2 ** 31 - 1),
  scoreKind: anything,
  minConfidence: confidence,
  minPrecision: precision,
  allowFallback: of("boolean"),
  includeWindows: of("boolean"),
  priority: anything,
};
const { textPairs: _, ...ONE_TEXT } = PREDICT;
const { task: _task, model: _model, ...PREDICT_TASKS } = PREDICT;

const OPTIONS = {
  client: {
    tls,
    token,
    timeoutMs: duration,
    maxAttempts: integer(1, 5),
    maxBatchSize: integer(1, 10_000),
    maxOpenBatches: integer(1, 64),
    channelOptions: of("object"),
  },
  call: CALL,
  watch: { signal, requestId },
  predict: PREDICT,
  predictTasks: PREDICT_TASKS,
  stream: { ...ONE_TEXT, batchSize: integer(1, 10_000), maxOpenBatches: integer(1, 64) },
  explain: { ...CALL, ...TARGET, maxContributionCount: integer(1, 100) },
};

/**
 * @param {unknown} options
 * @param {Record<string, Check>} known
 * @param {string} [path]
 */
function checkOptions(options, known, path = "") {
  if (typeof options !== "object" || options === null) throw invalid("options", "must be an object");
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(known, name)) {
      const names = Object.keys(known).join(", ");
      throw invalid(`${path}${name.slice(0, 64)}`, `is no option, these are: ${names}`);
    }
    if (value !== undefined) known[name](`${path}${name}`, value);
  }
}

/**
 * @param {string} field
 * @param {unknown} text
 */
function checkText(field, text) {
  if (typeof text !== "string") throw invalid(field, `is ${shown(text).replace(/^".*/s, "no string")}, it must be a string`);
  // Half of a surrogate pair has no UTF-8.
  if (!text.isWellFormed()) throw invalid(field, "holds half of a surrogate pair, which is no Unicode text");
}

/**
 * @param {string} field
 * @param {unknown} texts
 */
function checkTexts(field, texts) {
  if (!Array.isArray(texts)) throw invalid(field, `is ${shown(texts)}, it must be an array of strings`);
  texts.forEach((text, at) => checkText(`${field}[${at}]`, text));
}

/**
 * The names of tasks, of which one alone may be a string.
 * @param {unknown} tasks
 * @returns {string[]}
 */
function tasksOf(tasks) {
  const names = typeof tasks === "string" ? [tasks] : tasks;
  checkTexts("tasks", names);
  if (/** @type {string[]} */ (names).length === 0) throw invalid("tasks", 'is empty, it must name a task, or be "*"');
  return /** @type {string[]} */ (names);
}

/** @param {any} options */
function predictFields(options) {
  return {
    task: options.task,
    route: Route.numberOf("route", options.route),
    model: options.model,
    topK: options.topK,
    scoreKind: ScoreKind.numberOf("scoreKind", options.scoreKind),
    truncation: Truncation.numberOf("truncation", options.truncation),
    minConfidence: options.minConfidence,
    minPrecision: options.minPrecision,
    allowFallback: options.allowFallback,
    includeWindows: options.includeWindows,
    priority: Priority.numberOf("priority", options.priority),
  };
}

/** @param {any} options */
function explainFields(options) {
  return {
    task: options.task,
    route: Route.numberOf("route", options.route, ["cascade"]),
    model: options.model,
    maxContributionCount: options.maxContributionCount,
    truncation: Truncation.numberOf("truncation", options.truncation),
  };
}

module.exports = { OPTIONS, checkOptions, checkText, checkTexts, tasksOf, predictFields, explainFields };
