"use strict";

// Requests and answers over one `PredictStream`. A request that finds the server full or on its way out is sent again, on a
// new stream if the old one is gone.

const { DeadlineExceededError, UnavailableError, fromStatus, fromCall } = require("./errors.js");
const { pauseBefore } = require("./retry.js");

/** @typedef {{id: string, request: any, deadline: number, attempts: number, sent: boolean, pause?: any, expiry?: any,
 *   resolve: (outcome: {response?: any, error?: any}) => void}} Open */

class Exchange {
  /** @type {Map<string, Open>} */
  #open = new Map();
  #nextId = 0;
  /** @type {any} */
  #call;
  #connection;
  #how;
  /** @type {(reason: unknown) => void} */
  #lose = () => {};
  #onAbort = () => this.#fail(this.#how.signal?.reason);

  /**
   * @param {InstanceType<typeof import("./calls.js").Connection>} connection
   * @param {{timeoutMs: number, maxAttempts: number, signal?: AbortSignal, requestId?: string}} how
   */
  constructor(connection, how) {
    this.#connection = connection;
    this.#how = how;
    /** Rejects when the server is gone for good, or the caller has aborted. @type {Promise<never>} */
    this.lost = new Promise((_, reject) => (this.#lose = reject));
    this.lost.catch(() => {});
    how.signal?.addEventListener("abort", this.#onAbort);
  }

  /**
   * @param {any} request
   * @returns {Promise<{response?: any, error?: any}>}
   */
  ask(request) {
    return new Promise((resolve) => {
      const id = String(this.#nextId++);
      /** @type {Open} */
      const open = { id, request, deadline: Date.now() + this.#how.timeoutMs, attempts: 0, sent: false, resolve };
      this.#open.set(id, open);
      const late = new DeadlineExceededError(`no answer within ${this.#how.timeoutMs} ms`, { code: "DEADLINE_EXCEEDED" });
      open.expiry = setTimeout(() => this.#settle(open, { error: late }), this.#how.timeoutMs);
      this.#send(open);
    });
  }

  close() {
    this.#how.signal?.removeEventListener("abort", this.#onAbort);
    for (const open of this.#open.values()) {
      clearTimeout(open.pause);
      clearTimeout(open.expiry);
    }
    this.#open.clear();
    const call = this.#call;
    this.#call = undefined;
    call?.cancel();
  }

  /** @param {Open} open */
  #send(open) {
    open.attempts += 1;
    open.sent = true;
    const left = Math.max(1, open.deadline - Date.now());
    const timeoutDuration = { seconds: Math.floor(left / 1000), nanos: Math.floor((left % 1000) * 1e6) };
    this.#call ??= this.#start();
    this.#call.write({ id: open.id, request: open.request, timeoutDuration });
  }

  #start() {
    const call = this.#connection.stub.predictStream(this.#connection.metadata(this.#how.requestId));
    call.on("data", (/** @type {any} */ answer) => this.#answered(answer));
    // A call ends with "status" in every case; "error" must have a listener all the same.
    call.on("error", () => {});
    call.on("status", (/** @type {any} */ status) => this.#ended(call, status));
    return call;
  }

  /** @param {any} answer of `PredictStreamResponse` */
  #answered({ id, response, status }) {
    const open = this.#open.get(id);
    // An answer to a request that was given up.
    if (!open || !open.sent) return;
    if (!status) return this.#settle(open, { response });
    const error = fromStatus(status);
    if (!this.#again(open, error)) this.#settle(open, { error });
  }

  /**
   * @param {any} call
   * @param {any} status
   */
  #ended(call, status) {
    if (call !== this.#call) return;
    this.#call = undefined;
    // A server that drains ends the stream well, and has not read what it has not answered.
    const error = status.code === 0 ? new UnavailableError("the server ended the stream", { code: "UNAVAILABLE" }) : fromCall(status);
    for (const open of [...this.#open.values()]) {
      if (open.sent && !this.#again(open, error)) return this.#fail(error);
    }
  }

  /**
   * Sends a request again after a pause, if that is of use.
   * @param {Open} open
   * @param {unknown} error
   */
  #again(open, error) {
    const pause = pauseBefore(error, open.attempts, { maxAttempts: this.#how.maxAttempts, deadline: open.deadline });
    if (pause === undefined) return false;
    open.sent = false;
    open.pause = setTimeout(() => this.#send(open), pause);
    return true;
  }

  /**
   * @param {Open} open
   * @param {{response?: any, error?: any}} outcome
   */
  #settle(open, outcome) {
    clearTimeout(open.pause);
    clearTimeout(open.expiry);
    this.#open.delete(open.id);
    open.resolve(outcome);
  }

  /** @param {unknown} reason */
  #fail(reason) {
    this.#lose(reason);
    this.close();
  }
}

module.exports = { Exchange };
