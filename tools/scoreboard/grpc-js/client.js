// The official client for Node.js, as a user would write it: a call of each model, a deadline, the details of an error, a stream,
// health. Prints a line for each that came out as it should, and ends with 1 at the first that did not.
//
//   node client.js PROTO_FOLDER ADDRESS            all of that
//   node client.js PROTO_FOLDER ADDRESS REQUESTS   so many small requests on one stream, and whether all were answered

const assert = require("node:assert");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [folder, address, requests] = process.argv.slice(2);
const options = { includeDirs: [folder], enums: String, defaults: true };
const { PredictionService } = grpc.loadPackageDefinition(loader.loadSync("tandem/v1/prediction.proto", options)).tandem.v1;
// The messages of google.rpc, by which the details of an error are read.
const rpc = grpc.loadPackageDefinition(loader.loadSync("google/rpc/status.proto", options)).google.rpc;
const client = new PredictionService(address, grpc.credentials.createInsecure());

const call = (method, request, seconds = 60) =>
  new Promise((resolve, reject) => {
    const deadline = new Date(Date.now() + seconds * 1000);
    client[method](request, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer)));
  });

async function unary() {
  for (const [route, model] of [["ROUTE_FAST", "sentiment-fast"], ["ROUTE_DEEP", "sentiment-deep"]]) {
    const answer = await call("Predict", { texts: ["정말 재미있게 봤어요", "시간이 아까운 영화"], route });
    assert.deepEqual(answer.predictions.map((one) => one.label), ["positive", "negative"]);
    assert.equal(answer.models[0].name, model);
  }
}

async function deadline() {
  await assert.rejects(call("Predict", { texts: Array(128).fill("영화") }, 0.000001), { code: grpc.status.DEADLINE_EXCEEDED });
}

async function details() {
  const error = await call("Predict", { texts: ["영화"], topK: -1 }).then(assert.fail, (error) => error);
  assert.equal(error.code, grpc.status.INVALID_ARGUMENT);
  const [packed] = error.metadata.get("grpc-status-details-bin");
  for (const part of ["google.rpc.ErrorInfo", "INVALID_FIELD", "google.rpc.BadRequest", "top_k"]) {
    assert.ok(packed.includes(part), part);
  }
  assert.ok(rpc.Status.type, "google.rpc.Status is known");
}

async function stream() {
  const open = client.PredictStream({ deadline: new Date(Date.now() + 60_000) });
  const answers = [];
  open.on("data", (answer) => answers.push(answer.id));
  const ended = new Promise((resolve, reject) => open.on("end", resolve).on("error", reject));
  for (let id = 0; id < 20; id++) open.write({ id: String(id), request: { texts: ["좋다"], route: "ROUTE_FAST" } });
  open.end();
  await ended;
  assert.equal(new Set(answers).size, 20);
}

async function pipelining(total) {
  const open = client.PredictStream({ deadline: new Date(Date.now() + 1800_000) });
  const answers = new Set();
  open.on("data", (answer) => answers.add(answer.id));
  const ended = new Promise((resolve, reject) => open.on("end", resolve).on("error", reject));
  for (let id = 0; id < total; id++) {
    const more = open.write({ id: String(id), request: { texts: [`text ${id % 1000}`], route: "ROUTE_FAST" } });
    if (!more) await Promise.race([ended, new Promise((resolve) => open.once("drain", resolve))]);
  }
  open.end();
  await ended;
  console.log(answers.size === total ? "all" : `${answers.size} of ${total}`);
}

async function health() {
  const answer = await call("Health", {});
  assert.equal(answer.state, "SERVING_STATE_SERVING");
}

(async () => {
  if (requests) {
    await pipelining(Number(requests));
    return client.close();
  }
  for (const check of [unary, deadline, details, stream, health]) {
    await check();
    console.log(check.name);
  }
  client.close();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
