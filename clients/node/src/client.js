"use strict";

const { Connection } = require("./calls.js");
const { InvalidArgumentError, fromCall, invalid, movedBy } = require("./errors.js");
const { OPTIONS, checkOptions, checkText, checkTexts, tasksOf, predictFields, explainFields } = require("./options.js");
const { servingStatus } = require("./enums.js");
const { predictionsOf, taskResultsOf, healthOf, explanationsOf } = require("./answers.js");
const { predictStream } = require("./stream.js");

const DEFAULT_TIMEOUT_MS = 10_000;
/** The server takes no more in one `Explain`. */
const TEXTS_TO_EXPLAIN = 8;
/** A text of so many UTF-16 units is within any limit that a server is likely to have: no need to ask. */
const SURELY_SHORT = 1024;

class Client {
  /** @type {InstanceType<typeof Connection>} */
  #connection;
  /** @type {import("../index").ClientOptions} */
  #options;
  /** @type {Promise<import("../index").Health> | undefined} */
  #limits;

  /**
   * @param {string | readonly string[]} address
   * @param {import("../index").ClientOptions} [options]
   */
  constructor(address, options = {}) {
    checkOptions(options, OPTIONS.client);
    this.#options = options;
    this.#connection = new Connection(address, options);
  }

  /**
   * @param {any} texts
   * @param {import("../index").PredictOptions} [options]
   * @returns {Promise<any>}
   */
  async predict(texts, options = {}) {
    if (typeof texts === "string") {
      const { textPairs } = options;
      const [one] = await this.predict([texts], typeof textPairs === "string" ? { ...options, textPairs: [textPairs] } : options);
      return one;
    }
    checkOptions(options, OPTIONS.predict);
    const parts = await this.#predictParts(texts, predictFields(options), options);
    return parts.flatMap(({ texts, answer }) => predictionsOf(texts, answer));
  }

  /**
   * @param {any} texts
   * @param {string | readonly string[]} [tasks]
   * @param {import("../index").PredictTasksOptions} [options]
   * @returns {Promise<any>}
   */
  async predictTasks(texts, tasks = "*", options = {}) {
    if (typeof texts === "string") {
      const { textPairs } = options;
      const paired = typeof textPairs === "string" ? { ...options, textPairs: [textPairs] } : options;
      const found = await this.predictTasks([texts], tasks, paired);
      const first = Object.entries(found).map(([task, one]) => [task, Array.isArray(one) ? one[0] : one]);
      return Object.fromEntries(first);
    }
    checkOptions(options, OPTIONS.predictTasks);
    const names = tasksOf(tasks);
    return taskResultsOf(await this.#predictParts(texts, { ...predictFields(options), tasks: names }, options), names);
  }

  /**
   * The requests of one call, each with its texts and its answer.
   * @param {any} texts
   * @param {any} fields
   * @param {import("../index").PredictTasksOptions} options
   * @returns {Promise<{start: number, texts: string[], answer: any}[]>}
   */
  async #predictParts(texts, fields, options) {
    const pairs = options.textPairs ?? [];
    checkTexts("texts", texts);
    checkTexts("textPairs", pairs);
    if (pairs.length > 0 && pairs.length !== texts.length) throw invalid("textPairs", `holds ${pairs.length} texts for ${texts.length}`);

    const how = this.#how(options);
    const size = await this.#batchSize(texts, how);
    const of = (/** @type {number} */ start) => texts.slice(start, start + size);
    const request = (/** @type {number} */ start) => ({ ...fields, texts: of(start), textPairs: pairs.slice(start, start + size) });
    const answers = await this.#inBatches("predict", texts.length, size, request, how);
    return answers.map((answer, at) => ({ start: at * size, texts: of(at * size), answer }));
  }

  /**
   * @param {Iterable<string> | AsyncIterable<string>} texts
   * @param {import("../index").StreamOptions} [options]
   * @returns {AsyncGenerator<import("../index").StreamItem, void>}
   */
  predictStream(texts, options = {}) {
    checkOptions(options, OPTIONS.stream);
    const source = /** @type {any} */ (texts);
    if (typeof texts === "string" || !(source?.[Symbol.asyncIterator] || source?.[Symbol.iterator]))
      throw invalid("texts", "must be an iterable of strings");
    const { timeoutMs = this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS, maxOpenBatches = 8 } = options;
    const most = async () => this.#options.maxBatchSize ?? (await this.#serverLimits(this.#how({ ...options, timeoutMs }))).maxTextCount;
    return predictStream(this.#connection, source, {
      fields: predictFields(options),
      batchSize: async () => options.batchSize ?? Math.min(32, await most()),
      maxOpenBatches,
      timeoutMs,
      maxAttempts: this.#options.maxAttempts ?? 4,
      signal: options.signal,
      requestId: options.requestId,
    });
  }

  /**
   * @param {any} texts
   * @param {import("../index").ExplainOptions} [options]
   * @returns {Promise<any>}
   */
  async explain(texts, options = {}) {
    if (typeof texts === "string") return (await this.explain([texts], options))[0];
    checkOptions(options, OPTIONS.explain);
    const fields = explainFields(options);
    checkTexts("texts", texts);
    const of = (/** @type {number} */ start) => texts.slice(start, start + TEXTS_TO_EXPLAIN);
    const request = (/** @type {number} */ start) => ({ ...fields, texts: of(start) });
    const answers = await this.#inBatches("explain", texts.length, TEXTS_TO_EXPLAIN, request, this.#how(options));
    return answers.flatMap((answer, at) => explanationsOf(of(at * TEXTS_TO_EXPLAIN), answer));
  }

  /** @param {import("../index").CallOptions} [options] */
  async health(options = {}) {
    checkOptions(options, OPTIONS.call);
    return healthOf(await this.#connection.unary("health", {}, this.#how(options)));
  }

  /**
   * @param {string} [name]
   * @param {import("../index").CallOptions} [options]
   */
  async checkHealth(name = "", options = {}) {
    checkText("name", name);
    checkOptions(options, OPTIONS.call);
    const answer = await this.#connection.unary("checkHealth", { service: name }, this.#how(options));
    return servingStatus(answer.status);
  }

  /**
   * @param {string} [name]
   * @param {Pick<import("../index").CallOptions, "signal" | "requestId">} [options]
   */
  async *watchHealth(name = "", options = {}) {
    checkText("name", name);
    checkOptions(options, OPTIONS.watch);
    const { signal, requestId } = options;
    signal?.throwIfAborted();
    const call = this.#connection.stub.watchHealth({ service: name }, this.#connection.metadata(requestId));
    const cancel = () => call.cancel();
    signal?.addEventListener("abort", cancel);
    try {
      for await (const answer of call) yield servingStatus(answer.status);
    } catch (error) {
      signal?.throwIfAborted();
      throw fromCall(/** @type {any} */ (error));
    } finally {
      signal?.removeEventListener("abort", cancel);
      call.cancel();
    }
  }

  close() {
    this.#connection.close();
  }

  /** @param {import("../index").CallOptions} options */
  #how({ timeoutMs = this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS, signal, requestId }) {
    return { deadline: Date.now() + timeoutMs, signal, requestId };
  }

  /**
   * What the server takes, asked once and again after it refused a request.
   * @param {{deadline: number, signal?: AbortSignal, requestId?: string}} how
   */
  #serverLimits(how) {
    if (!this.#limits) {
      const asked = this.#connection.unary("health", {}, how).then(healthOf);
      asked.catch(() => (this.#limits = undefined));
      this.#limits = asked;
      return asked;
    }
    return this.#limits;
  }

  /**
   * @param {string[]} texts
   * @param {{deadline: number, signal?: AbortSignal, requestId?: string}} how
   */
  async #batchSize(texts, how) {
    const { maxBatchSize } = this.#options;
    if (maxBatchSize) return maxBatchSize;
    if (texts.length <= 1 && texts.every((text) => text.length <= SURELY_SHORT)) return 1;
    const { maxTextCount, maxTextSizeBytes } = await this.#serverLimits(how);
    // Refused here, since a message that is over the limit as a whole is refused without a word on which text it was.
    texts.forEach((text, at) => {
      const size = text.length * 3 > maxTextSizeBytes ? Buffer.byteLength(text) : 0;
      if (size > maxTextSizeBytes) throw invalid(`texts[${at}]`, `takes ${size} bytes as UTF-8, the server takes at most ${maxTextSizeBytes}`);
    });
    return maxTextCount;
  }

  /**
   * The answers of as many requests as it takes, some at a time. The first failure ends the others.
   * @param {string} method
   * @param {number} count
   * @param {number} size
   * @param {(start: number) => any} request
   * @param {{deadline: number, signal?: AbortSignal, requestId?: string}} how
   * @returns {Promise<any[]>}
   */
  async #inBatches(method, count, size, request, how) {
    const failed = new AbortController();
    const signal = how.signal ? AbortSignal.any([how.signal, failed.signal]) : failed.signal;
    /** @type {any[]} */
    const answers = [];
    // A request without texts is sent too: the server says what is wrong with it.
    const batches = Math.max(1, Math.ceil(count / size));
    let next = 0;
    const work = async () => {
      while (next < batches) {
        const at = next++;
        const start = at * size;
        try {
          answers[at] = await this.#connection.unary(method, request(start), { ...how, signal });
        } catch (error) {
          const told = movedBy(error, start);
          failed.abort(told);
          throw told;
        }
      }
    };
    const workers = Math.min(batches, this.#options.maxOpenBatches ?? 4);
    try {
      await Promise.all(Array.from({ length: workers }, work));
    } catch (error) {
      if (error instanceof InvalidArgumentError) this.#limits = undefined;
      throw error;
    }
    return answers;
  }
}

module.exports = { Client };
