"use strict";

// Runs each example of the pages for Node.js, and compares what it prints with what the page says.

const assert = require("node:assert/strict");
const { execFile } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { it } = require("node:test");
const { promisify } = require("node:util");
const { startServer, FAST_ALONE, ROOT } = require("./server.js");

// And how many examples each has.
const PAGES = { "docs/clients-node.md": 4, "docs/clients-node-production.md": 3, "docs/clients-grpc-js.md": 1 };
const EXAMPLE = /```js\n(.*?)```\n(?:\nIt prints\n\n```\n(.*?)```\n)?/gs;

/** As a module, in which the examples may wait; `require` as the page has it. */
function asModule(code) {
  const require_ = 'import { createRequire } from "node:module";\nconst require = createRequire(import.meta.url);\n';
  return code.includes("require(") ? require_ + code : code;
}

it("the examples of the pages print what they say", async () => {
  const certificates = process.env.TANDEM_CERTIFICATES;
  const files = ["cert", "key"].flatMap((name) => [`--tls-${name}`, path.join(certificates, `${name}.pem`)]);
  const secured = await startServer([...FAST_ALONE, ...files, "--tls-client-ca", path.join(certificates, "ca.pem")], {
    TANDEM_TOKENS: "docs:docs-0123456789abcdef",
  });
  const plain = await startServer();
  const examples = Object.entries(PAGES).flatMap(([page, count]) => {
    const found = [...fs.readFileSync(path.join(ROOT, page), "utf8").matchAll(EXAMPLE)];
    assert.equal(found.length, count, page);
    return found;
  });
  for (const [at, [, code, expected]] of examples.entries()) {
    assert.ok(expected, `what example ${at} prints`);
    const port = (code.includes("tls:") ? secured : plain).port;
    assert.ok(code.includes('"localhost:50051"'));
    const file = path.join(__dirname, `example-${process.pid}-${at}.mjs`);
    fs.writeFileSync(file, asModule(code.replace("localhost:50051", `localhost:${port}`)));
    try {
      const cwd = code.includes("tls:") ? certificates : ROOT;
      const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd, timeout: 60_000 });
      assert.equal(stdout, expected);
    } finally {
      fs.rmSync(file);
    }
  }
  await Promise.all([secured.stop(), plain.stop()]);
});

it("a dynamic loader sends the default for a route that is none, as the page warns", async () => {
  const grpc = require("@grpc/grpc-js");
  const loader = require("@grpc/proto-loader");
  const options = { includeDirs: [path.join(ROOT, "proto")], enums: String, defaults: true };
  const { PredictionService } = grpc.loadPackageDefinition(loader.loadSync("tandem/v1/prediction.proto", options)).tandem.v1;
  const sent = PredictionService.service.Predict.requestSerialize({ texts: [3], route: "ROUTE_CASACDE", top_k: 2 });
  const read = PredictionService.service.Predict.requestDeserialize(sent);
  assert.deepEqual([read.texts, read.route, read.topK], [["3"], "ROUTE_UNSPECIFIED", 0]);
});
