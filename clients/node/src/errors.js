"use strict";

// What a failed call throws: the status with its details (google.rpc), as fields of an exception.

const { status: codes } = require("@grpc/grpc-js");
const { google } = require("./generated/messages.js");

const PREFIX = "type.googleapis.com/google.rpc.";

class TandemError extends Error {
  /**
   * @param {string} message
   * @param {{code?: string, reason?: string, metadata?: Record<string, string>, violations?: import("../index").FieldViolation[],
   *   retryAfterMs?: number, requestId?: string, cause?: unknown}} [facts]
   */
  constructor(message, facts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = new.target.name;
    this.code = facts.code ?? "UNKNOWN";
    this.reason = facts.reason ?? "";
    this.metadata = facts.metadata ?? {};
    this.violations = facts.violations ?? [];
    this.retryAfterMs = facts.retryAfterMs;
    this.requestId = facts.requestId;
  }
}
class InvalidArgumentError extends TandemError {}
class NotFoundError extends TandemError {}
class FailedPreconditionError extends TandemError {}
class ResourceExhaustedError extends TandemError {}
class UnavailableError extends TandemError {}
class DeadlineExceededError extends TandemError {}
class UnauthenticatedError extends TandemError {}
class UnimplementedError extends TandemError {}

/** @type {Record<string, typeof TandemError>} */
const CLASSES = {
  INVALID_ARGUMENT: InvalidArgumentError,
  NOT_FOUND: NotFoundError,
  FAILED_PRECONDITION: FailedPreconditionError,
  RESOURCE_EXHAUSTED: ResourceExhaustedError,
  UNAVAILABLE: UnavailableError,
  DEADLINE_EXCEEDED: DeadlineExceededError,
  UNAUTHENTICATED: UnauthenticatedError,
  UNIMPLEMENTED: UnimplementedError,
};

/**
 * An argument that is refused before anything is sent.
 * @param {string} field
 * @param {string} description
 */
function invalid(field, description) {
  return new InvalidArgumentError(`${field}: ${description}`, {
    code: "INVALID_ARGUMENT",
    reason: "INVALID_FIELD",
    violations: [{ field, description }],
  });
}

/** @param {string} name a name of the protocol @returns {string} its name here: `top_k` is `topK` */
const ours = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());

/** @param {any[]} details of google.rpc.Status */
function factsOf(details) {
  /** @type {any} */
  const facts = {};
  for (const { type_url: url, value } of details) {
    if (url === `${PREFIX}ErrorInfo`) {
      const info = google.rpc.ErrorInfo.decode(value);
      facts.reason = info.reason;
      facts.metadata = { ...info.metadata };
    } else if (url === `${PREFIX}BadRequest`) {
      const { fieldViolations } = google.rpc.BadRequest.decode(value);
      facts.violations = fieldViolations.map((/** @type {any} */ one) => ({ field: ours(one.field), description: one.description }));
    } else if (url === `${PREFIX}RetryInfo`) {
      const delay = google.rpc.RetryInfo.decode(value).retryDelay;
      facts.retryAfterMs = delay ? delay.seconds * 1000 + delay.nanos / 1e6 : 0;
    } else if (url === `${PREFIX}RequestInfo`) {
      facts.requestId = google.rpc.RequestInfo.decode(value).requestId;
    }
  }
  return facts;
}

/**
 * The exception for a google.rpc.Status.
 * @param {{code: number, message: string, details: any[]}} status
 * @param {unknown} [cause]
 */
function fromStatus(status, cause) {
  const code = codes[status.code] ?? "UNKNOWN";
  return new (CLASSES[code] ?? TandemError)(status.message || code, { ...factsOf(status.details), code, cause });
}

/**
 * The exception for what a call of grpc-js failed with.
 * @param {import("@grpc/grpc-js").ServiceError} error
 */
function fromCall(error) {
  const plain = { code: error.code, message: error.details || error.message, details: [] };
  const [packed] = error.metadata?.get("grpc-status-details-bin") ?? [];
  if (!packed) return fromStatus(plain, error);
  try {
    return fromStatus({ ...plain, details: google.rpc.Status.decode(/** @type {Buffer} */ (packed)).details }, error);
  } catch {
    // What some proxy put there: the code and its text are enough.
    return fromStatus(plain, error);
  }
}

/**
 * An error of one of several requests: its texts stand further on in what the caller gave, who knows of no request in a
 * message of a stream.
 * @param {unknown} error
 * @param {number} start
 */
function movedBy(error, start) {
  if (!(error instanceof InvalidArgumentError)) return error;
  const moved = (/** @type {string} */ text) =>
    text
      .replace(/\brequest\.(?=[a-z])/g, "")
      .replace(/\b(texts|text_pairs|textPairs)\[(\d+)\]/g, (_, list, at) => `${list}[${Number(at) + start}]`);
  return new InvalidArgumentError(moved(error.message), {
    ...error,
    violations: error.violations.map(({ field, description }) => ({ field: moved(field), description })),
    cause: error.cause,
  });
}

module.exports = {
  TandemError,
  InvalidArgumentError,
  NotFoundError,
  FailedPreconditionError,
  ResourceExhaustedError,
  UnavailableError,
  DeadlineExceededError,
  UnauthenticatedError,
  UnimplementedError,
  invalid,
  fromStatus,
  fromCall,
  movedBy,
};
