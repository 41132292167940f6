"use strict";

// Many texts over one stream (`PredictStream`): answers in the order of the texts, with bounds on what is under way.

const { checkText } = require("./options.js");
const { Exchange } = require("./exchange.js");
const { predictionsOf } = require("./answers.js");
const { movedBy } = require("./errors.js");

/** How long a request waits for more texts of a source that is slower than the server. */
const LINGER_MS = 5;

/** Takes texts out of a source, as many as there are at once, up to a size. */
class Batches {
  #texts;
  /** @type {Promise<any> | undefined} the next text, asked for and not there yet */
  #next;
  #index = 0;
  #isSync;
  #done = false;

  /** @param {any} source */
  constructor(source) {
    this.#isSync = !source[Symbol.asyncIterator];
    this.#texts = source[Symbol.asyncIterator]?.() ?? source[Symbol.iterator]();
  }

  /**
   * The next texts, in an array without any at the end.
   * @param {number} size
   */
  async take(size) {
    /** @type {string[]} */
    const texts = [];
    const start = this.#index;
    /** @type {any} */
    let linger;
    while (texts.length < size && !this.#done) {
      this.#next ??= this.#isSync ? this.#texts.next() : Promise.resolve(this.#texts.next());
      let step;
      if (texts.length === 0 || this.#isSync) {
        step = await this.#next;
      } else {
        linger ??= new Promise((resolve) => setTimeout(resolve, LINGER_MS));
        step = await Promise.race([this.#next, linger]);
        if (!step) break;
      }
      this.#next = undefined;
      if (step.done) {
        this.#done = true;
        break;
      }
      checkText(`texts[${this.#index}]`, step.value);
      texts.push(step.value);
      this.#index += 1;
    }
    return { start, texts };
  }

  /** Tells the source that nobody reads on; does not wait for a text that it still owes. */
  close() {
    if (!this.#done) Promise.resolve(this.#texts.return?.()).catch(() => {});
  }
}

/**
 * @param {InstanceType<typeof import("./calls.js").Connection>} connection
 * @param {any} source
 * @param {{fields: any, batchSize: () => Promise<number>, maxOpenBatches: number, timeoutMs: number, maxAttempts: number,
 *   signal?: AbortSignal, requestId?: string}} how
 * @returns {AsyncGenerator<import("../index").StreamItem, void>}
 */
async function* predictStream(connection, source, how) {
  how.signal?.throwIfAborted();
  const size = await how.batchSize();
  const exchange = new Exchange(connection, how);
  const batches = new Batches(source);
  /** What was sent and not yielded, in order. @type {{start: number, texts: string[], outcome: Promise<any>}[]} */
  const window = [];
  /** @type {Promise<any> | undefined} */
  let taking;
  let ended = false;
  try {
    for (;;) {
      if (!ended && !taking && window.length < how.maxOpenBatches)
        taking = batches.take(size).then((batch) => ({ batch }));
      const head = window[0];
      if (!head && !taking) return;
      const events = [exchange.lost, ...(taking ? [taking] : []), ...(head ? [head.outcome] : [])];
      const event = await Promise.race(events);
      if (event.batch) {
        taking = undefined;
        const { start, texts } = event.batch;
        if (texts.length === 0) ended = true;
        else window.push({ start, texts, outcome: exchange.ask({ ...how.fields, texts }) });
        continue;
      }
      window.shift();
      yield* itemsOf(/** @type {any} */ (head), event);
    }
  } finally {
    // What the source still says, a failure too, is nobody's any more.
    taking?.catch(() => {});
    exchange.close();
    batches.close();
  }
}

/**
 * @param {{start: number, texts: string[]}} batch
 * @param {{response?: any, error?: any}} outcome
 */
function* itemsOf({ start, texts }, { response, error }) {
  const predictions = response ? predictionsOf(texts, response) : [];
  const told = error && movedBy(error, start);
  for (const [at, text] of texts.entries()) {
    yield /** @type {any} */ (error ? { index: start + at, text, error: told } : { index: start + at, text, prediction: predictions[at] });
  }
}

module.exports = { predictStream };
