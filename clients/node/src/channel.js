"use strict";

// How a client reaches its servers: the target, the credentials, and what a gRPC client does not do unless it is told to.

const net = require("node:net");
const grpc = require("@grpc/grpc-js");
const { invalid } = require("./errors.js");

/** More than the largest answer: 16 MiB of scores, and the rest. */
const LARGEST_ANSWER = 64 * 1024 * 1024;

/** @param {string | readonly string[]} address */
function targetOf(address) {
  if (typeof address === "string" && address !== "") return address;
  if (!Array.isArray(address) || address.length === 0)
    throw invalid("address", "must be \"host:port\", \"unix:/path\", or an array of \"ip:port\"");
  const families = address.map((one, at) => {
    const [, host = ""] = /^\[?([^\]]*)\]?:\d{1,5}$/.exec(String(one)) ?? [];
    const family = net.isIP(host);
    if (family === 0) throw invalid(`address[${at}]`, "must be \"ip:port\": name several hosts by one DNS name, not in a list");
    return family;
  });
  if (families.some((family) => family !== families[0])) throw invalid("address", "mixes IPv4 and IPv6, which one list can't");
  return `ipv${families[0]}:${address.join(",")}`;
}

/** @param {boolean | import("../index").TlsOptions | undefined} tls */
function credentialsOf(tls) {
  if (!tls) return grpc.credentials.createInsecure();
  const { ca, cert, key } = tls === true ? {} : tls;
  if (Boolean(cert) !== Boolean(key)) throw invalid("tls", "wants cert and key together");
  const bytes = (/** @type {string | Buffer | undefined} */ pem) => (pem === undefined ? null : Buffer.from(pem));
  return grpc.credentials.createSsl(bytes(ca), bytes(key), bytes(cert));
}

/** @param {import("../index").ClientOptions} options */
function channelOptions({ tls, channelOptions: more = {} }) {
  const serverName = typeof tls === "object" ? tls.serverName : undefined;
  return {
    // Turns between all addresses. Retries are ours: src/retry.js.
    "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
    // What a DNS record says would replace it.
    "grpc.service_config_disable_resolution": 1,
    "grpc.max_receive_message_length": LARGEST_ANSWER,
    // Notices a connection that died under a call; the server allows these pings.
    "grpc.keepalive_time_ms": 60_000,
    ...(serverName ? { "grpc.ssl_target_name_override": serverName, "grpc.default_authority": serverName } : {}),
    ...more,
  };
}

module.exports = { targetOf, credentialsOf, channelOptions };
