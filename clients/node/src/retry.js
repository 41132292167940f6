"use strict";

// When a request is worth another try, and how long to wait before it. gRPC's own retries would not do: they repeat a message
// that is too large (its code is that of a full queue), keep nothing over 1 MiB for another try, end with the first answer of
// a stream, and wait out a pause that is longer than the time that is left.

const { UnavailableError, ResourceExhaustedError } = require("./errors.js");

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2000;
/** A server that tells no real pause is not asked in a tight loop. */
const SHORTEST_PAUSE_MS = 10;

/**
 * The pause in milliseconds; undefined where another try is of no use.
 * @param {unknown} error what the last try ended with
 * @param {number} attempts how many there were
 * @param {{maxAttempts: number, deadline: number}} bounds
 */
function pauseBefore(error, attempts, { maxAttempts, deadline }) {
  if (maxAttempts === 1) return undefined;
  let pause;
  if ((error instanceof ResourceExhaustedError || error instanceof UnavailableError) && error.retryAfterMs !== undefined) {
    // Several requests of one caller may be told the same pause, of which one gets in: only the deadline counts here.
    pause = Math.max(error.retryAfterMs, SHORTEST_PAUSE_MS) * (1 + 0.2 * Math.random());
  } else if (error instanceof UnavailableError && attempts < maxAttempts) {
    // From 0.8 to 1.2 of it: callers who failed together do not come back together.
    pause = Math.min(FIRST_PAUSE_MS * 2 ** (attempts - 1), LONGEST_PAUSE_MS) * (0.8 + 0.4 * Math.random());
  }
  return pause !== undefined && Date.now() + pause < deadline ? pause : undefined;
}

module.exports = { pauseBefore };
