"use strict";

// Real servers for the tests: the program that TANDEM names, on ports that the system chooses.

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const path = require("node:path");
const readline = require("node:readline");

const ROOT = process.env.TANDEM_ROOT ?? path.resolve(__dirname, "../../..");
const PROGRAM = process.env.TANDEM ?? path.join(ROOT, "target/release/tandem");
const FAST_ALONE = ["--fast", path.join(ROOT, "models/sentiment-fast/1")];

/** The settings of whoever runs the tests are none of the server's. */
function cleanEnvironment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("TANDEM")));
}

/**
 * A server that takes requests. `stop()` drains it and waits for its end. Without arguments it has the models of the
 * repository, and is the one at TANDEM_ADDRESS, where there is one.
 * @param {string[]} [args]
 * @param {Record<string, string>} [environment]
 */
async function startServer(args, environment = {}) {
  const shared = process.env.TANDEM_ADDRESS;
  if (!args && shared) return { address: shared, port: Number(shared.split(":").pop()), stop: async () => {} };
  args ??= ["--models", path.join(ROOT, "models")];
  const ports = ["--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--log-format", "json"];
  const env = { ...cleanEnvironment(), ...environment };
  const child = spawn(PROGRAM, ["serve", ...ports, ...args], { env, stdio: ["ignore", "ignore", "pipe"] });
  // A test that fails before it stops its server must not keep the process, nor leave the server behind.
  process.on("exit", () => child.kill("SIGKILL"));
  const lines = [];
  let listening;
  for await (const line of readline.createInterface({ input: child.stderr })) {
    lines.push(line);
    const said = line.startsWith("{") ? JSON.parse(line) : {};
    if (said.message === "listening") listening = said;
    if (said.message === "ready") break;
  }
  assert.ok(listening, `the server does not start:\n${lines.join("\n")}`);
  // What it says after that is nobody's, but has to be read.
  child.stderr.resume();
  child.stderr.unref();
  child.unref();
  const end = async (signal) => {
    child.ref();
    const ended = once(child, "exit");
    if (child.exitCode === null && child.signalCode === null && child.kill(signal)) await ended;
  };
  return {
    address: listening.grpc,
    port: Number(listening.grpc.split(":").pop()),
    http: `http://${listening.http}`,
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
  };
}

module.exports = { startServer, FAST_ALONE, ROOT };
