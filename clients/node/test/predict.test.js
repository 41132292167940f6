"use strict";

const assert = require("node:assert/strict");
const { after, before, describe, it } = require("node:test");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const {
  Client,
  InvalidArgumentError,
  FailedPreconditionError,
  NotFoundError,
  DeadlineExceededError,
  UnavailableError,
  TandemError,
} = require("../index.js");
const { startServer, FAST_ALONE } = require("./server.js");

const GOOD = "정말 재미있게 봤어요";
const BAD = "시간이 아까운 영화";

describe("one server", () => {
  let server;
  let client;
  before(async () => {
    server = await startServer();
    client = new Client(server.address, { timeoutMs: 60_000 });
  });
  after(async () => {
    client.close();
    await server.stop();
  });

  it("classifies by each route, and says who answered and why", async () => {
    for (const [route, tier, decision] of [["fast", "fast", "requested"], ["deep", "deep", "requested"], [undefined, "deep", "requested"]]) {
      const found = await client.predict([GOOD, BAD], { route });
      assert.deepEqual(found.map((one) => [one.label, one.tier, one.decision]), [
        ["positive", tier, decision],
        ["negative", tier, decision],
      ]);
      assert.equal(found[0].model.name, `sentiment-${tier}`);
      assert.deepEqual(found[0].scores, []);
      assert.equal(found[0].value, undefined);
    }
    const [one] = await client.predict([GOOD], { route: "cascade" });
    assert.equal(one.decision, "confident");
    // No answer can be so sure: each text is escalated.
    const [other] = await client.predict([GOOD], { route: "cascade", minConfidence: 1 });
    assert.deepEqual([other.decision, other.tier], ["escalated", "deep"]);
  });

  it("gives one answer for one text, with the scores that were asked", async () => {
    const one = await client.predict(GOOD, { route: "fast", topK: 2 });
    assert.equal(one.label, "positive");
    assert.equal(one.scores.length, 2);
    assert.ok(Math.abs(one.scores[0].score + one.scores[1].score - 1) < 1e-5);
    assert.deepEqual(one.scores.map((score) => score.selected), [true, false]);
    assert.equal(one.scores[0].score, one.confidence);
    const raw = await client.predict(GOOD, { route: "fast", topK: 1, scoreKind: "logit" });
    assert.ok(raw.scores[0].score > 1);
    const cut = await client.predict("가".repeat(2000), { route: "fast", truncation: "end", priority: "bulk" });
    assert.equal(cut.truncated, true);
  });

  it("reads a long text in windows, whose places are those of the string", async () => {
    const long = "🎬 정말 재미있게 봤어요. ".repeat(60) + "시간이 아까운 영화. ".repeat(60);
    const options = { truncation: "windows", includeWindows: true, topK: 1, route: "cascade" };
    const [answer, short] = await client.predict([long, GOOD], options);
    assert.deepEqual([answer.readSizeBytes, answer.truncated], [Buffer.byteLength(long), false]);
    assert.ok(answer.windows.length > 2);
    assert.deepEqual([answer.windows[0].start, answer.windows.at(-1).end], [0, long.length]);
    for (const one of answer.windows) {
      assert.equal(Buffer.byteLength(long.slice(0, one.start)), one.startByte);
      assert.equal(Buffer.byteLength(long.slice(0, one.end)), one.endByte);
      assert.deepEqual([one.scores[0].label, one.value], [one.label, undefined]);
      assert.ok(["fast", "deep"].includes(one.tier) && one.tokenCount > 0);
    }
    assert.deepEqual(new Set(answer.windows.map((one) => one.label)), new Set(["positive", "negative"]));
    assert.deepEqual(short.windows.map(({ startByte, endByte }) => [startByte, endByte]), [[0, Buffer.byteLength(GOOD)]]);
    for await (const { prediction } of client.predictStream([long], options)) assert.deepEqual(prediction.windows, answer.windows);
    const untold = await client.predict(long, { route: "fast", truncation: "windows" });
    assert.deepEqual([untold.windows, untold.readSizeBytes], [[], Buffer.byteLength(long)]);
    const cut = await client.predict(long, { route: "fast", truncation: "end", includeWindows: true });
    assert.deepEqual([cut.windows, cut.readSizeBytes, cut.truncated], [[], 0, true]);
  });

  it("tells the cascade's threshold, and which precision it can't promise", async () => {
    const { minConfidence } = await client.predict(GOOD, { route: "cascade" });
    assert.ok(minConfidence > 0.5 && minConfidence < 1, `the task's threshold: ${minConfidence}`);
    assert.equal((await client.predict(GOOD, { route: "cascade", minConfidence: 0.75 })).minConfidence, 0.75);
    assert.equal((await client.predict(GOOD, { route: "deep" })).minConfidence, undefined);
    const error = await client.predict(GOOD, { route: "cascade", minPrecision: 0.999999 }).then(assert.fail, (error) => error);
    assert.ok(error instanceof FailedPreconditionError, error);
    assert.equal(error.reason, "CASCADE_NOT_CALIBRATED");
  });

  it("splits what is more than the server takes, and keeps the order", async () => {
    const texts = Array.from({ length: 1001 }, (_, at) => `${at % 3 ? GOOD : BAD} ${at}`);
    const found = await client.predict(texts, { route: "fast" });
    const single = new Client(server.address, { maxBatchSize: 100, maxOpenBatches: 7, timeoutMs: 60_000 });
    assert.deepEqual(await single.predict(texts, { route: "fast" }), found);
    single.close();
    for (const at of [0, 1, 127, 128, 1000]) {
      assert.deepEqual(await client.predict(texts[at], { route: "fast" }), found[at]);
    }
  });

  it("tells which field is wrong, by the name that the caller wrote", async () => {
    const refused = async (texts, options, field, says) => {
      const error = await client.predict(texts, options).then(assert.fail, (error) => error);
      assert.ok(error instanceof InvalidArgumentError, error);
      assert.equal(error.code, "INVALID_ARGUMENT");
      assert.equal(error.reason, "INVALID_FIELD");
      assert.deepEqual(error.violations.map((one) => one.field), [field]);
      assert.match(error.violations[0].description, says);
      assert.ok(error.requestId, "the server was asked");
    };
    await refused([], {}, "texts", /holds no text/);
    await refused([GOOD], { model: "sentiment-fast", route: "fast" }, "model", /route/);
    await refused([GOOD], { route: "fast", minConfidence: 0.5 }, "minConfidence", /cascade/i);
    await refused([GOOD], { route: "fast", textPairs: [BAD] }, "textPairs", /pairs/);
    // Of a later request: counted in what the caller gave.
    const texts = Array.from({ length: 300 }, () => GOOD);
    texts[299] = "가".repeat(2000);
    await refused(texts, { route: "fast", truncation: "reject" }, "texts[299]", /./);
  });

  it("refuses a text that is too long before a message is too large", async () => {
    const error = await client.predict([GOOD, "가".repeat(6000)]).then(assert.fail, (error) => error);
    assert.ok(error instanceof InvalidArgumentError, error);
    assert.deepEqual(error.violations, [{ field: "texts[1]", description: "takes 18000 bytes as UTF-8, the server takes at most 16384" }]);
  });

  it("tells what is not there, and when the time is over", async () => {
    const unknown = await client.predict(GOOD, { model: "nobody", requestId: "from-node" }).then(assert.fail, (error) => error);
    assert.ok(unknown instanceof NotFoundError, unknown);
    assert.equal(unknown.reason, "MODEL_NOT_FOUND");
    assert.equal(unknown.requestId, "from-node");
    assert.match(unknown.message, /nobody/);
    const late = await client.predict(Array(128).fill(GOOD), { timeoutMs: 0.001 }).then(assert.fail, (error) => error);
    assert.ok(late instanceof DeadlineExceededError, late);
    assert.equal(late.code, "DEADLINE_EXCEEDED");
    const explained = await client.explain(GOOD, { route: "deep" }).then(assert.fail, (error) => error);
    assert.ok(explained instanceof TandemError);
    assert.deepEqual([explained.code, explained.reason], ["UNIMPLEMENTED", "NOT_EXPLAINABLE"]);
  });

  it("ends with the signal, and gives its reason", async () => {
    const reason = new Error("enough");
    await assert.rejects(client.predict(GOOD, { signal: AbortSignal.abort(reason) }), reason);
    const controller = new AbortController();
    const asked = client.predict(Array.from({ length: 2000 }, (_, at) => `${GOOD} ${at}`), { route: "deep", signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(asked, reason);
    assert.equal((await client.predict(GOOD)).label, "positive");
  });

  it("explains answers, with the parts of the text as they stand in the string", async () => {
    const text = "정말 재미있게 👍 봤어요";
    const one = await client.explain(text, { maxContributionCount: 100 });
    assert.equal(one.label, "positive");
    assert.equal(one.model.name, "sentiment-fast");
    for (const label of one.labels) {
      const parts = [...label.supporting, ...label.opposing];
      const sum = parts.reduce((sum, part) => sum + part.contribution, label.bias + label.otherContribution);
      assert.ok(Math.abs(sum - label.logit) < 1e-3, `${sum} is ${label.logit}`);
      const spans = parts.flatMap((part) => part.spans);
      for (const span of spans) assert.equal(text.slice(span.start, span.end), span.text);
      assert.ok(spans.every((span) => span.text.isWellFormed()));
      assert.ok(spans.some((span) => span.text.includes("👍")));
    }
    const texts = Array.from({ length: 20 }, (_, at) => `${at % 2 ? GOOD : BAD} ${at}`);
    const many = await client.explain(texts, { maxContributionCount: 1 });
    assert.deepEqual(many.map((one) => one.label), (await client.predict(texts, { route: "fast" })).map((one) => one.label));
  });

  it("tells the health of the server, of its service and of its models", async () => {
    const health = await client.health();
    assert.equal(health.state, "serving");
    assert.equal(health.maxTextCount, 128);
    assert.deepEqual(health.models.map((one) => one.model.name).sort(), ["sentiment-deep", "sentiment-fast"]);
    assert.deepEqual(health.models[0].labels, ["negative", "positive"]);
    for (const name of [undefined, "tandem.v1.PredictionService", "sentiment-fast"])
      assert.equal(await client.checkHealth(name), "SERVING");
    await assert.rejects(client.checkHealth("nobody"), NotFoundError);
    for await (const status of client.watchHealth("nobody")) {
      assert.equal(status, "SERVICE_UNKNOWN");
      break;
    }
  });
});

it("gives no label where the answer was withheld", async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "tandem-node-"));
  const config = path.join(folder, "withholding.toml");
  fs.writeFileSync(config, '[tasks.sentiment]\nfast = "sentiment-fast"\n[tasks.sentiment.abstain]\nmin_confidence = 1.0\n');
  const server = await startServer([...FAST_ALONE, "--config", config]);
  const client = new Client(server.address, { timeoutMs: 60_000 });
  const one = await client.predict(GOOD, { route: "fast" });
  assert.deepEqual([one.decision, one.label, one.tier], ["abstained", "", "fast"]);
  assert.deepEqual(one.scores.map(({ label, selected }) => [label, selected]), [["positive", false]]);
  assert.ok(one.confidence > 0.9);
  client.close();
  await server.stop();
  fs.rmSync(folder, { recursive: true });
});

it("refuses options that are none before anything is sent", async () => {
  // Nobody listens there: what gets past the checks fails otherwise.
  const client = new Client("127.0.0.1:1", { maxAttempts: 1 });
  const cases = [
    [["x"], { route: "casacde" }, "route", 'is "casacde", it must be one of "fast", "deep", "cascade"'],
    [["x"], { route: "ROUTE_FAST" }, "route"],
    [["x"], { route: "unspecified" }, "route"],
    [["x"], { route: "" }, "route"],
    [["x"], { route: null }, "route"],
    [["x"], { route: 1 }, "route", 'is a number, it must be one of "fast", "deep", "cascade"'],
    [["x"], { rout: "fast" }, "rout"],
    [["x"], { priority: "high" }, "priority"],
    [["x"], { truncation: "middle" }, "truncation"],
    [["x"], { scoreKind: "percent" }, "scoreKind"],
    [["x"], { topK: 1.5 }, "topK"],
    [["x"], { minConfidence: NaN }, "minConfidence"],
    [["x"], { minPrecision: 1 }, "minPrecision", "must be a number above 0 and below 1"],
    [["x"], { minPrecision: 0 }, "minPrecision"],
    [["x"], { includeWindows: "yes" }, "includeWindows"],
    [["x"], { timeoutMs: -1 }, "timeoutMs"],
    [["x"], { signal: {} }, "signal"],
    [["x"], { requestId: "a b" }, "requestId"],
    [["x", 1], {}, "texts[1]", "is a number, it must be a string"],
    [["x", "\ud800"], {}, "texts[1]"],
    [null, {}, "texts"],
    [["x"], { textPairs: ["a", "b"] }, "textPairs"],
  ];
  for (const [texts, options, field, message] of cases) {
    const error = await client.predict(texts, options).then(assert.fail, (error) => error);
    assert.ok(error instanceof InvalidArgumentError, error);
    assert.equal(error.violations[0].field, field);
    if (message) assert.equal(error.violations[0].description, message);
  }
  await assert.rejects(client.explain("x", { route: "cascade" }), /route: is "cascade"/);
  assert.throws(() => client.predictStream("one text"), InvalidArgumentError);
  assert.throws(() => client.predictStream([], { textPairs: [] }), /textPairs: is no option/);
  for (const [address, options] of [
    ["", {}],
    [[], {}],
    [["localhost:1"], {}],
    [["10.0.0.1:1", "[::1]:1"], {}],
    ["x:1", { token: "two words" }],
    ["x:1", { tls: { cert: "x" } }],
    ["x:1", { tls: { cacert: "x" } }],
    ["x:1", { maxAttempts: 9 }],
    ["x:1", { retries: 2 }],
  ])
    assert.throws(() => new Client(address, options), InvalidArgumentError, JSON.stringify([address, options]));

  const gone = await client.predict("x").then(assert.fail, (error) => error);
  assert.ok(gone instanceof UnavailableError, gone);
  assert.equal(gone.reason, "");
  client.close();
});

it("is one package, whether it is imported or required", async () => {
  const imported = await import("../index.mjs");
  assert.deepEqual(Object.keys(imported).sort(), Object.keys(require("../index.js")).sort());
  for (const [name, value] of Object.entries(require("../index.js"))) assert.equal(imported[name], value);
});
