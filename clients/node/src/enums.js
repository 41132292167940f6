"use strict";

// The names of enumerations, to and from the protocol's numbers. A name that is none of them is an error: a loader that
// reads the protocol files at run time would send the default in its place, without a word.

const { tandem, grpc } = require("./generated/messages.js");
const { invalid } = require("./errors.js");

/**
 * @param {Record<string, any>} values an enumeration as it was generated, numbers by names; zero says nothing
 * @param {string} prefix what each name begins with
 */
function enumeration(values, prefix) {
  const said = Object.entries(values).filter(([, number]) => typeof number === "number" && number !== 0);
  /** @type {[string, number][]} */
  const pairs = said.map(([name, number]) => [name.slice(prefix.length).toLowerCase(), number]);
  const numbers = new Map(pairs);
  const names = new Map(pairs.map(([name, number]) => [number, name]));
  return {
    /** @param {number} number a newer server may have more than these */
    nameOf: (number) => names.get(number) ?? "unknown",
    /**
     * @param {string} field
     * @param {unknown} name undefined says nothing
     * @param {string[]} [without] names that do not fit here
     */
    numberOf(field, name, without = []) {
      if (name === undefined) return 0;
      const number = typeof name === "string" && !without.includes(name) ? numbers.get(name) : undefined;
      if (number !== undefined) return number;
      const allowed = [...numbers.keys()].filter((one) => !without.includes(one)).map((one) => JSON.stringify(one));
      throw invalid(field, `is ${shown(name)}, it must be one of ${allowed.join(", ")}`);
    },
  };
}

/** @param {unknown} value a wrong option, short */
function shown(value) {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 64)) : `a ${value === null ? "null" : typeof value}`;
}

/** @param {number} number of the standard health service, whose names stay as they are */
function servingStatus(number) {
  return grpc.health.v1.HealthCheckResponse.ServingStatus[number] ?? "UNKNOWN";
}

const { v1 } = tandem;

module.exports = {
  shown,
  servingStatus,
  Route: enumeration(v1.Route, "ROUTE_"),
  Tier: enumeration(v1.Tier, "TIER_"),
  Decision: enumeration(v1.Decision, "DECISION_"),
  ScoreKind: enumeration(v1.ScoreKind, "SCORE_KIND_"),
  Truncation: enumeration(v1.Truncation, "TRUNCATION_"),
  Priority: enumeration(v1.Priority, "PRIORITY_"),
  ServingState: enumeration(v1.ServingState, "SERVING_STATE_"),
};
