"use strict";

const assert = require("node:assert/strict");
const path = require("node:path");
const { after, before, describe, it } = require("node:test");
const {
  Client,
  FailedPreconditionError,
  InvalidArgumentError,
  NotFoundError,
  UnavailableError,
  UnimplementedError,
} = require("../index.js");
const { taskResultsOf } = require("../src/answers.js");
const { startServer, ROOT } = require("./server.js");

const GOOD = "the film is good";
const BAD = "the game is boring, you idiot";

describe("predictTasks", () => {
  let server;
  let client;
  before(async () => {
    // One model with a head for each of two tasks, and a server that takes four texts at once.
    server = await startServer(["--models", path.join(ROOT, "tests/data/heads"), "--max-texts", "4"]);
    client = new Client(server.address, { timeoutMs: 60_000 });
  });
  after(async () => {
    client.close();
    await server.stop();
  });

  it("gives each task the answers that it gives alone", async () => {
    const found = await client.predictTasks([GOOD, BAD], ["toxicity", "sentiment"], { topK: 3 });
    assert.deepEqual(Object.keys(found), ["toxicity", "sentiment"]);
    assert.deepEqual(found.sentiment.map((one) => one.label), ["positive", "negative"]);
    assert.deepEqual(found.toxicity.map((one) => one.label), ["clean", "toxic"]);
    for (const [task, answers] of Object.entries(found)) {
      const alone = await client.predict([GOOD, BAD], { task, topK: 3 });
      for (const [at, one] of answers.entries()) {
        assert.deepEqual([one.label, one.tier, one.model.name], [alone[at].label, "deep", "two-heads"]);
        for (const [place, { label, score }] of one.scores.entries()) {
          assert.equal(label, alone[at].scores[place].label);
          assert.ok(Math.abs(score - alone[at].scores[place].score) < 1e-4);
        }
      }
    }
    const every = await client.predictTasks(GOOD);
    assert.deepEqual(Object.entries(every).map(([task, one]) => [task, one.label]), [["sentiment", "positive"], ["toxicity", "clean"]]);
    assert.deepEqual(Object.keys(await client.predictTasks([GOOD], "toxicity")), ["toxicity"]);
  });

  it("gives a task that fails its error, and the others their answers", async () => {
    const found = await client.predictTasks([GOOD], ["sentiment", "none"]);
    assert.equal(found.sentiment[0].label, "positive");
    assert.ok(found.none instanceof NotFoundError, found.none);
    assert.equal(found.none.reason, "TASK_NOT_FOUND");
    for (const error of Object.values(await client.predictTasks(GOOD, "*", { route: "fast" })))
      assert.ok(error instanceof FailedPreconditionError, error);
  });

  it("splits texts, and counts those of errors over the whole call", async () => {
    const texts = Array.from({ length: 130 }, (_, at) => (at % 3 ? GOOD : BAD));
    const { sentiment, toxicity } = await client.predictTasks(texts);
    assert.deepEqual(toxicity.map((one) => one.label), texts.map((text) => (text === GOOD ? "clean" : "toxic")));
    assert.equal(sentiment.length, 130);
    texts[9] = `${GOOD} `.repeat(40);
    for (const error of Object.values(await client.predictTasks(texts, "*", { truncation: "reject" }))) {
      assert.ok(error instanceof InvalidArgumentError, error);
      assert.equal(error.violations[0].field, "texts[9]");
    }
  });

  it("names what can't be asked", async () => {
    const refused = async (tasks, options, field) => {
      const error = await client.predictTasks([GOOD], tasks, options).then(assert.fail, (error) => error);
      assert.ok(error instanceof InvalidArgumentError, error);
      assert.equal(error.violations[0].field, field);
    };
    await refused([], {}, "tasks");
    await refused(["sentiment", 1], {}, "tasks[1]");
    await refused(null, {}, "tasks");
    await refused("*", { task: "sentiment" }, "task");
    await refused("*", { model: "two-heads" }, "model");
    await refused(["sentiment", "sentiment"], {}, "tasks[1]");
    await refused(Array.from({ length: 33 }, (_, at) => `a${at}`), {}, "tasks");
  });
});

it("makes an error of a task that came or went during a call, and of a server that knows of none", () => {
  const response = { models: [], predictions: [{ label: "x", scores: [], windows: [] }] };
  const part = (start, tasks) => ({ start, texts: ["a text"], answer: { taskResults: tasks.map((task) => ({ task, response })) } });
  assert.ok(taskResultsOf([part(0, ["one"])], ["one", "left-out"])["left-out"] instanceof UnavailableError);
  const found = taskResultsOf([part(0, ["one", "gone"]), part(1, ["come", "one"])], ["*"]);
  assert.deepEqual(found.one.map((one) => one.label), ["x", "x"]);
  for (const task of ["gone", "come"]) {
    assert.ok(found[task] instanceof UnavailableError);
    assert.match(found[task].message, new RegExp(`the task ${task} was not answered for all texts`));
  }
  assert.throws(() => taskResultsOf([part(0, [])], ["*"]), UnimplementedError);
});
