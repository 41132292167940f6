"use strict";

// One call: its metadata, its deadline, its cancellation, and its failure as an exception.

const { setTimeout } = require("node:timers/promises");
const grpc = require("@grpc/grpc-js");
const { Stub } = require("./wire.js");
const { fromCall } = require("./errors.js");
const { pauseBefore } = require("./retry.js");
const { targetOf, credentialsOf, channelOptions } = require("./channel.js");

/**
 * @param {number} ms
 * @param {AbortSignal | undefined} signal whose reason it throws
 */
async function sleep(ms, signal) {
  await setTimeout(ms, undefined, { signal }).catch(() => signal?.throwIfAborted());
}

class Connection {
  /**
   * @param {string | readonly string[]} address
   * @param {import("../index").ClientOptions} options
   */
  constructor(address, options) {
    this.token = options.token;
    this.maxAttempts = options.maxAttempts ?? 4;
    /** @type {any} */
    this.stub = new Stub(targetOf(address), credentialsOf(options.tls), channelOptions(options));
  }

  /** @param {string | undefined} requestId */
  metadata(requestId) {
    const metadata = new grpc.Metadata();
    if (this.token) metadata.set("authorization", `Bearer ${this.token}`);
    if (requestId) metadata.set("x-request-id", requestId);
    return metadata;
  }

  /**
   * A call with one answer, tried again where that is of use.
   * @param {string} method of the stub
   * @param {any} request
   * @param {{deadline: number, signal?: AbortSignal, requestId?: string}} how
   * @returns {Promise<any>}
   */
  async unary(method, request, how) {
    const bounds = { maxAttempts: this.maxAttempts, deadline: how.deadline };
    for (let attempts = 1; ; attempts++) {
      how.signal?.throwIfAborted();
      try {
        return await this.#once(method, request, how);
      } catch (error) {
        const pause = pauseBefore(error, attempts, bounds);
        if (pause === undefined) throw error;
        await sleep(pause, how.signal);
      }
    }
  }

  /**
   * @param {string} method
   * @param {any} request
   * @param {{deadline: number, signal?: AbortSignal, requestId?: string}} how
   */
  async #once(method, request, { deadline, signal, requestId }) {
    /** @type {(() => void) | undefined} */
    let cancel;
    try {
      return await new Promise((resolve, reject) => {
        const call = this.stub[method](request, this.metadata(requestId), { deadline }, (/** @type {any} */ error, /** @type {any} */ answer) =>
          error ? reject(fromCall(error)) : resolve(answer),
        );
        cancel = () => {
          reject(signal?.reason);
          call.cancel();
        };
        signal?.addEventListener("abort", cancel);
      });
    } finally {
      if (cancel) signal?.removeEventListener("abort", cancel);
    }
  }

  close() {
    this.stub.close();
  }
}

module.exports = { Connection };
