"use strict";

const assert = require("node:assert/strict");
const { after, before, describe, it } = require("node:test");
const { Client, InvalidArgumentError, DeadlineExceededError } = require("../index.js");
const { startServer } = require("./server.js");

const GOOD = "정말 재미있게 봤어요";

async function collect(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

describe("predictStream", () => {
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

  it("answers in the order of the texts, as predict does", async () => {
    const texts = Array.from({ length: 500 }, (_, at) => `${at % 2 ? "좋다" : "나쁘다"} ${at}`);
    const items = await collect(client.predictStream(texts, { route: "cascade", batchSize: 7 }));
    assert.deepEqual(items.map((item) => item.index), texts.map((_, at) => at));
    assert.deepEqual(items.map((item) => item.text), texts);
    const expected = await client.predict(texts, { route: "cascade" });
    assert.deepEqual(items.map((item) => item.prediction.label), expected.map((one) => one.label));
    assert.deepEqual(await collect(client.predictStream([])), []);
  });

  it("gives the texts of a refused request their error, and goes on", async () => {
    const texts = [GOOD, GOOD, "가".repeat(2000), GOOD, GOOD];
    const items = await collect(client.predictStream(texts, { route: "fast", truncation: "reject", batchSize: 1 }));
    assert.deepEqual(items.map((item) => item.prediction?.label), ["positive", "positive", undefined, "positive", "positive"]);
    assert.ok(items[2].error instanceof InvalidArgumentError);
    assert.equal(items[2].error.violations[0].field, "texts[2]");
    const late = await collect(client.predictStream(Array(100).fill(GOOD), { route: "deep", timeoutMs: 0.01, batchSize: 100 }));
    for (const { error } of late) assert.ok(error instanceof DeadlineExceededError, error);
  });

  it("answers a text before the source has the next one", async () => {
    const waiting = [];
    const source = (async function* () {
      for (const text of ["좋다", "나쁘다", "영화"]) {
        yield text;
        // Only an answer brings the next text.
        await new Promise((resolve) => waiting.push(resolve));
      }
    })();
    const found = [];
    for await (const item of client.predictStream(source, { route: "fast" })) {
      found.push(item.text);
      while (waiting.length === 0) await new Promise(setImmediate);
      waiting.shift()();
    }
    assert.deepEqual(found, ["좋다", "나쁘다", "영화"]);
  });

  it("reads no more texts than it may have open, and tells the source when the loop ends", async () => {
    let read = 0;
    let told = false;
    function* source() {
      try {
        for (;;) yield `text ${read++}`;
      } finally {
        told = true;
      }
    }
    for await (const item of client.predictStream(source(), { route: "fast", batchSize: 4, maxOpenBatches: 2 })) {
      // Those that are open, those that are being yielded, and those that are taken next.
      assert.ok(read <= item.index + 4 * 4, `${read} texts read for item ${item.index}`);
      if (item.index === 100) break;
    }
    assert.ok(told);
  });

  it("ends with the signal, with the source's own failure, and at what is no text", async () => {
    const reason = new Error("enough");
    const controller = new AbortController();
    const forever = (async function* () {
      yield GOOD;
      await new Promise(() => {});
    })();
    await assert.rejects(async () => {
      for await (const item of client.predictStream(forever, { signal: controller.signal })) {
        assert.equal(item.prediction.label, "positive");
        controller.abort(reason);
      }
    }, reason);
    const broken = (function* () {
      yield GOOD;
      throw reason;
    })();
    await assert.rejects(collect(client.predictStream(broken)), reason);
    await assert.rejects(collect(client.predictStream([GOOD, 3])), /texts\[1\]: is a number/);
  });
});
