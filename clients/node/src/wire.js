"use strict";

// The methods of the protocol, for grpc-js.

const grpc = require("@grpc/grpc-js");
const { tandem, grpc: standard } = require("./generated/messages.js");

/**
 * @param {string} path
 * @param {any} request
 * @param {any} response
 * @param {{requests?: boolean, responses?: boolean}} [streams]
 */
function method(path, request, response, { requests = false, responses = false } = {}) {
  return {
    path,
    requestStream: requests,
    responseStream: responses,
    requestSerialize: (/** @type {any} */ message) => Buffer.from(request.encode(message).finish()),
    requestDeserialize: (/** @type {Buffer} */ bytes) => request.decode(bytes),
    responseSerialize: (/** @type {any} */ message) => Buffer.from(response.encode(message).finish()),
    responseDeserialize: (/** @type {Buffer} */ bytes) => response.decode(bytes),
  };
}

const { v1 } = tandem;
const health = standard.health.v1;
const ours = (/** @type {string} */ name) => `/tandem.v1.PredictionService/${name}`;

const METHODS = {
  predict: method(ours("Predict"), v1.PredictRequest, v1.PredictResponse),
  explain: method(ours("Explain"), v1.ExplainRequest, v1.ExplainResponse),
  health: method(ours("Health"), v1.HealthRequest, v1.HealthResponse),
  predictStream: method(ours("PredictStream"), v1.PredictStreamRequest, v1.PredictStreamResponse, {
    requests: true,
    responses: true,
  }),
  checkHealth: method("/grpc.health.v1.Health/Check", health.HealthCheckRequest, health.HealthCheckResponse),
  watchHealth: method("/grpc.health.v1.Health/Watch", health.HealthCheckRequest, health.HealthCheckResponse, { responses: true }),
};

/** A stub with one function a method. */
const Stub = grpc.makeGenericClientConstructor(METHODS, "tandem");

module.exports = { Stub };
