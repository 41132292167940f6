import type { ChannelOptions } from "@grpc/grpc-js";

/** Which model answers; a call that names none takes the task's configured default. */
export type Route = "fast" | "deep" | "cascade";

/** Which model answered; a newer server may know more, which read as `"unknown"`, here and below. */
export type Tier = "fast" | "deep" | "unknown";

/** Why that tier answered. */
export type Decision = "requested" | "confident" | "escalated" | "fallback_deadline" | "fallback_overload" | "abstained" | "unknown";

/** Certificates as PEM. All are optional: without `ca` those that Node trusts count. */
export interface TlsOptions {
  /** Who may have signed the server's certificate. */
  ca?: string | Buffer;
  /** The client's own certificate, for a server that asks for one (mTLS); wants `key`. */
  cert?: string | Buffer;
  /** The key of `cert`. */
  key?: string | Buffer;
  /** The name that the server's certificate must have, where it is not the host of the address. */
  serverName?: string;
}

export interface ClientOptions {
  /** `true` or certificates: TLS. Plaintext otherwise. */
  tls?: boolean | TlsOptions;
  /** The key that is sent as `authorization: Bearer …`. */
  token?: string;
  /** The time that a call may take, in milliseconds, where it says nothing itself. 10,000 if absent. */
  timeoutMs?: number;
  /**
   * How often a request is tried, the first time included, where no server takes it: from 1 to 5; 4 if absent. A pause that
   * a server tells is kept, and the request sent again, as long as there is time. 1: nothing is sent again.
   */
  maxAttempts?: number;
  /** The most texts in one request. If absent, what the server says it takes. */
  maxBatchSize?: number;
  /** How many requests of one `predict` are open at once: from 1 to 64. 4 if absent. */
  maxOpenBatches?: number;
  /** Options of @grpc/grpc-js, over those that the client sets. */
  channelOptions?: ChannelOptions;
}

/** What holds for one call. */
export interface CallOptions {
  /** The time that the call may take, in milliseconds, retries and all of its requests together. */
  timeoutMs?: number;
  /** Ends the call when it is aborted; the call then throws the signal's reason. */
  signal?: AbortSignal;
  /** Sent as `x-request-id`: up to 128 letters, digits and `-_.:/+=`. */
  requestId?: string;
}

export interface PredictOptions extends CallOptions {
  /** Which model answers. Anything but the three names is an error. */
  route?: Route;
  /** What to decide, by the name of a configured task. */
  task?: string;
  /** A model, as `name` or `name@version`; excludes `route`. */
  model?: string;
  /** The second texts, for a model that classifies pairs: one a text. */
  textPairs?: readonly string[];
  /** How many labels to list in `scores`. */
  topK?: number;
  /** What `scores` are; probabilities if absent. */
  scoreKind?: "probability" | "logit";
  /** What happens to a text that is too long for the model. `"windows"`: all of it is read, in parts. */
  truncation?: "end" | "start" | "reject" | "windows";
  /** Whether answers list the windows of texts that were read in windows. */
  includeWindows?: boolean;
  /** For the cascade: the confidence in [0, 1] at which the fast answer stands. */
  minConfidence?: number;
  /**
   * For the cascade: the share of given answers that must be right, above 0 and below 1. A text of which the answer is not
   * sure enough for that gets none: its decision is `"abstained"`.
   */
  minPrecision?: number;
  /** Whether the fast model may answer what the deep one has no time or room for. */
  allowFallback?: boolean;
  /** Which requests go first when the server is busy. */
  priority?: "interactive" | "normal" | "bulk";
}

/** Those of `predict`, without a single task or model. */
export type PredictTasksOptions = Omit<PredictOptions, "task" | "model">;

export interface StreamOptions extends Omit<PredictOptions, "textPairs"> {
  /** Texts in a request: 32 if absent, or fewer if the server takes no more. */
  batchSize?: number;
  /** How many requests are sent and not yet read: from 1 to 64. 8 if absent. */
  maxOpenBatches?: number;
  /** The time that one request of the stream may take, retries included. The stream itself has no end. */
  timeoutMs?: number;
}

export interface ExplainOptions extends CallOptions {
  /** Whose answer: the fast model's if absent. The cascade has none to explain. */
  route?: "fast" | "deep";
  task?: string;
  model?: string;
  /** How many n-grams to list for, and how many against, each label: from 1 to 100; 10 if absent. */
  maxContributionCount?: number;
  truncation?: "end" | "start" | "reject" | "windows";
}

/** One version of a model. */
export interface Model {
  name: string;
  version: string;
  /** Stands for the files that decide its answers. */
  fingerprint: string;
  tier: Tier;
}

export interface LabelScore {
  label: string;
  score: number;
  /** Whether the label is part of the answer. */
  selected: boolean;
}

/** A part of a text that was read in windows, and its own answer: the one that it gets as a text. */
export interface Window {
  /** Its place: `text.slice(start, end)`. */
  start: number;
  end: number;
  /** The same in bytes of UTF-8. */
  startByte: number;
  endByte: number;
  label: string;
  confidence: number;
  tier: Tier;
  scores: LabelScore[];
  tokenCount: number;
  value: number | undefined;
}

/** The answer for one text. */
export interface Prediction {
  /**
   * The winning label; empty for a multi-label model in which none passed its threshold, and where the decision is
   * `"abstained"`: then the best label is in `scores` alone.
   */
  label: string;
  /** The calibrated probability of the winning label, in [0, 1]. */
  confidence: number;
  tier: Tier;
  decision: Decision;
  /** The model that answered. */
  model: Model | undefined;
  /** The `topK` labels, best first; empty if `topK` was not asked. */
  scores: LabelScore[];
  /** How many tokens or features the model saw. */
  tokenCount: number;
  /** Whether the model saw only a part of the text. */
  truncated: boolean;
  /** The value that a regression model predicts; undefined for classifiers. */
  value: number | undefined;
  /** With `includeWindows`, the parts in which the text was read; empty for a text that was not read in windows. */
  windows: Window[];
  /** How many bytes of UTF-8, from the start, were read in windows; 0 for a text that was not read in windows. */
  readSizeBytes: number;
  /**
   * For a cascade, the confidence from which on fast answers stood. Undefined for other routes, and where a forecast of the
   * gain decided which did.
   */
  minConfidence: number | undefined;
}

/** One text of a stream: its answer, or why it got none. The stream goes on after an error. */
export type StreamItem =
  | { index: number; text: string; prediction: Prediction; error?: undefined }
  | { index: number; text: string; prediction?: undefined; error: TandemError };

/** A part of the text: `text.slice(start, end)`. */
export interface Span {
  start: number;
  end: number;
  text: string;
}

/** What one feature adds to a logit, and where its n-grams stand (at most 16 places of `spanCount`). */
export interface Contribution {
  contribution: number;
  spans: Span[];
  spanCount: number;
}

/** `bias`, the contributions that are listed, and `otherContribution` add up to `logit`. */
export interface LabelExplanation {
  label: string;
  logit: number;
  bias: number;
  otherContribution: number;
  supporting: Contribution[];
  opposing: Contribution[];
}

export interface Explanation {
  label: string;
  confidence: number;
  labels: LabelExplanation[];
  featureCount: number;
  truncated: boolean;
  model: Model | undefined;
}

export type ServingState = "loading" | "serving" | "draining" | "failed" | "unknown";

export interface ModelHealth {
  model: Model | undefined;
  state: ServingState;
  message: string;
  queuedTextCount: number;
  labels: string[];
  maxTokenCount: number;
  tasks: string[];
  /** What runs it: execution providers of ONNX Runtime, those with the most of its graph first; empty if it is not loaded. */
  executionProviders: string[];
  verified: boolean;
}

export interface Health {
  state: ServingState;
  version: string;
  uptimeMs: number;
  models: ModelHealth[];
  /** The most texts that a request may hold; `predict` splits what is more. */
  maxTextCount: number;
  /** The longest text, in bytes of UTF-8. */
  maxTextSizeBytes: number;
}

/** What the standard health service (grpc.health.v1) says. */
export type ServingStatus = "SERVING" | "NOT_SERVING" | "SERVICE_UNKNOWN" | "UNKNOWN";

/**
 * A connection to one Tandem server, or to several: calls take turns between all addresses of a name, and between those of
 * a list.
 */
export class Client {
  /**
   * @param address `host:port`, `unix:/path`, any other target of gRPC (`dns:///host:port`), or a list of `ip:port`.
   * @example const client = new Client("localhost:50051", { timeoutMs: 2000 });
   */
  constructor(address: string | readonly string[], options?: ClientOptions);
  /**
   * Classifies texts, in their order; more than the server takes at once go in several requests.
   * @example const [one] = await client.predict(["정말 재미있게 봤어요"], { route: "cascade" });
   */
  predict(texts: readonly string[], options?: PredictOptions): Promise<Prediction[]>;
  /** Classifies one text. */
  predict(text: string, options?: PredictOptions): Promise<Prediction>;
  /**
   * Classifies texts for several tasks at once: the answers by the name of the task. `tasks` are names, at most 32, or `"*"`
   * (the default) for every task of the server. A task that fails has its TandemError in place of answers, and is not tried
   * again, also where every task fails (no room in the server, no time). Thrown is a fault of the texts or of an option that
   * no task can take, and the error of a call that the server does not answer.
   * @example const { sentiment, toxicity } = await client.predictTasks(["정말 재미있게 봤어요"], ["sentiment", "toxicity"]);
   */
  predictTasks(
    texts: readonly string[],
    tasks?: string | readonly string[],
    options?: PredictTasksOptions,
  ): Promise<Record<string, Prediction[] | TandemError>>;
  /** Classifies one text for several tasks. */
  predictTasks(
    text: string,
    tasks?: string | readonly string[],
    options?: PredictTasksOptions,
  ): Promise<Record<string, Prediction | TandemError>>;
  /**
   * Classifies texts as they come, and gives answers in their order. Bounded: it reads `texts` no faster than answers are
   * taken. A text that is refused is an item with `error`; a server that is gone for good makes the loop throw.
   * @example for await (const { text, prediction, error } of client.predictStream(lines)) { … }
   */
  predictStream(texts: Iterable<string> | AsyncIterable<string>, options?: StreamOptions): AsyncGenerator<StreamItem, void>;
  /** Explains answers of a model that adds up n-grams: which of them speak for and against each label. */
  explain(texts: readonly string[], options?: ExplainOptions): Promise<Explanation[]>;
  explain(text: string, options?: ExplainOptions): Promise<Explanation>;
  /** The state of the server, its limits, and its models with their labels. */
  health(options?: CallOptions): Promise<Health>;
  /** The standard health service: of the server, or of a service or a model by its name. Throws NotFoundError. */
  checkHealth(name?: string, options?: CallOptions): Promise<ServingStatus>;
  /** The same, now and at each change, until the loop or the server ends. */
  watchHealth(name?: string, options?: Pick<CallOptions, "signal" | "requestId">): AsyncGenerator<ServingStatus, void>;
  /** Closes the connections; what is open fails. */
  close(): void;
}

/** A name or a path of a field, as you wrote it (`topK`, `texts[3]`), and what is wrong with it. */
export interface FieldViolation {
  field: string;
  description: string;
}

/** A call that failed. */
export class TandemError extends Error {
  /** The name of the gRPC code, such as `"INVALID_ARGUMENT"`. */
  readonly code: string;
  /** What programs should branch on, such as `"QUEUE_FULL"`; empty if the server was not reached. docs/errors.md lists all. */
  readonly reason: string;
  /** Facts, such as `limit_bytes`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The fields at fault. */
  readonly violations: readonly FieldViolation[];
  /** How long to wait before the next try, in milliseconds, if the server said so. */
  readonly retryAfterMs: number | undefined;
  /** What the server's log calls the request. */
  readonly requestId: string | undefined;
}
/** The request is wrong: `violations` says where. Also thrown before anything is sent. */
export class InvalidArgumentError extends TandemError {}
/** No such task or model. */
export class NotFoundError extends TandemError {}
/** The task lacks the tier, or its cascade is not calibrated. */
export class FailedPreconditionError extends TandemError {}
/** The server, or the caller's share of it, is full; or the message is too large. */
export class ResourceExhaustedError extends TandemError {}
/** The server can't be reached, loads its models, or drains. */
export class UnavailableError extends TandemError {}
/** The time is over, or would have been before an answer. */
export class DeadlineExceededError extends TandemError {}
/** The server wants a token, and this is none that it knows. */
export class UnauthenticatedError extends TandemError {}
/** The model can't do that: an explanation of a deep one, for instance. */
export class UnimplementedError extends TandemError {}
