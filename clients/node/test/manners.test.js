"use strict";

// What a client owes its servers: pauses that it keeps, turns between servers, and keys that it shows.

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { it } = require("node:test");
const { Client, UnauthenticatedError, UnavailableError } = require("../index.js");
const { startServer, FAST_ALONE } = require("./server.js");

const KEY = "slow-0123456789abcdef";
/** A key for which all texts of a batch are a pause of two minutes. */
const BULK_KEY = "bulk-0123456789abcdef";
const GOOD = "정말 재미있게 봤어요";

async function metric(server, pattern, headers = {}) {
  const text = await (await fetch(`${server.http}/metrics`, { headers })).text();
  return text.split("\n").filter((line) => pattern.test(line)).reduce((sum, line) => sum + Number(line.split(" ").pop()), 0);
}

it("waits for the pause that a refusal tells, in calls and on streams", async () => {
  const server = await startServer(FAST_ALONE, {
    TANDEM_TOKENS: `slow:${KEY} texts_per_second=2 burst=1,bulk:${BULK_KEY} texts_per_second=1 burst=120`,
  });
  const client = new Client(server.address, { token: KEY, timeoutMs: 60_000 });
  const refused = () => metric(server, /reason="RATE_LIMITED"/, { authorization: `Bearer ${KEY}` });
  for (let call = 0; call < 3; call++) assert.equal((await client.predict(GOOD)).label, "positive");
  const before = await refused();
  assert.ok(before > 0, "some were refused, and nobody saw it");
  const labels = [];
  for await (const item of client.predictStream([GOOD, GOOD, GOOD], { batchSize: 1 })) labels.push(item.prediction?.label ?? item.error);
  assert.deepEqual(labels, ["positive", "positive", "positive"]);
  assert.ok((await refused()) > before);
  client.close();

  for (const token of [undefined, "nobody-0123456789abcdef"]) {
    const stranger = new Client(server.address, { token });
    await assert.rejects(stranger.predict(GOOD), UnauthenticatedError);
    await assert.rejects(stranger.predictStream([GOOD], { batchSize: 1 }).next(), UnauthenticatedError);
    stranger.close();
  }
  const once = new Client(server.address, { token: KEY, maxAttempts: 1 });
  const errors = await Promise.all(Array.from({ length: 3 }, () => once.predict(GOOD).catch((error) => error)));
  const full = errors.find((error) => error instanceof Error);
  assert.equal(full.reason, "RATE_LIMITED");
  assert.ok(full.retryAfterMs > 0, "the pause is told");
  once.close();

  // No pause is waited out that ends after the time does: the caller hears at once what it was.
  const bulk = new Client(server.address, { token: BULK_KEY, timeoutMs: 60_000 });
  const texts = Array(120).fill(GOOD);
  assert.equal((await bulk.predict(texts)).length, 120);
  const late = await bulk.predict(texts).then(assert.fail, (error) => error);
  assert.deepEqual([late.code, late.reason], ["RESOURCE_EXHAUSTED", "RATE_LIMITED"]);
  assert.ok(late.retryAfterMs > 60_000 && late.retryAfterMs <= 120_000, `after ${late.retryAfterMs} ms`);
  bulk.close();
  await server.stop();
});

it("repeats no message that is too large", async () => {
  const server = await startServer(FAST_ALONE);
  const client = new Client(server.address, { maxBatchSize: 10_000, timeoutMs: 60_000 });
  const large = await client.predict(Array(400).fill("가".repeat(5000))).then(assert.fail, (error) => error);
  assert.deepEqual([large.code, large.reason], ["RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE"]);
  assert.equal(await metric(server, /^tandem_requests_total\{.*method="Predict"/), 1);
  client.close();
  await server.stop();
});

it("gives all servers turns, and goes on with those that are left", async () => {
  const servers = await Promise.all([startServer(FAST_ALONE), startServer(FAST_ALONE)]);
  const client = new Client(servers.map((server) => server.address), { timeoutMs: 60_000 });
  for (let call = 0; call < 20; call++) await client.predict(GOOD);
  const calls = await Promise.all(servers.map((server) => metric(server, /^tandem_requests_total\{.*method="Predict"/)));
  assert.ok(calls.every((count) => count > 0), `both were asked: ${calls}`);

  // A stream is on one of them: whichever goes first, every text gets its answer.
  let ended = 0;
  for await (const item of client.predictStream(Array(400).fill(GOOD), { batchSize: 1, maxOpenBatches: 4 })) {
    assert.equal(item.prediction?.label, "positive", item.error);
    if (item.index === 20) servers[0].stop().then(() => ended++);
    if (item.index >= 20 && ended === 0) await new Promise(setImmediate);
  }
  await servers[0].stop();
  assert.equal((await client.predict(GOOD)).label, "positive");

  await servers[1].kill();
  await assert.rejects(async () => {
    for await (const item of client.predictStream([GOOD], { batchSize: 1 })) assert.fail(item);
  }, UnavailableError);
  client.close();
});

it("speaks TLS, and shows its certificate", async () => {
  const folder = process.env.TANDEM_CERTIFICATES;
  assert.ok(folder, "TANDEM_CERTIFICATES names a folder with ca.pem, cert.pem and key.pem, for localhost");
  const read = (name) => fs.readFileSync(path.join(folder, name));
  const [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map(read);
  const files = ["--tls-cert", path.join(folder, "cert.pem"), "--tls-key", path.join(folder, "key.pem")];
  const server = await startServer([...FAST_ALONE, ...files, "--tls-client-ca", path.join(folder, "ca.pem")]);
  const ask = async (tls, address = `localhost:${server.port}`) => {
    const client = new Client(address, { tls, maxAttempts: 1 });
    try {
      return (await client.predict(GOOD)).label;
    } finally {
      client.close();
    }
  };
  assert.equal(await ask({ ca, cert, key }), "positive");
  assert.equal(await ask({ ca: ca.toString(), cert: cert.toString(), key: key.toString(), serverName: "localhost" }, server.address), "positive");
  for (const tls of [true, { ca }, { cert, key }, { ca, cert, key, serverName: "example.com" }, undefined])
    await assert.rejects(ask(tls), UnavailableError);
  await server.stop();
});
