// What a page of another origin does with the clients of grpc-web and of Connect, unmodified. Only their messages are made
// here, from the compiled contract, since neither library makes its code without a generator.

import { create, createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import * as grpcWeb from "grpc-web";

const TEXTS_A_CALL = 100;

/** What the clients share: a service and its messages. */
async function contract() {
  const bytes = await (await fetch("/contract.binpb")).arrayBuffer();
  const files = createFileRegistry(fromBinary(FileDescriptorSetSchema, new Uint8Array(bytes)));
  const service = files.getService("tandem.v1.PredictionService");
  return { service, input: service.method.predict.input, output: service.method.predict.output };
}

/** A function that asks by grpc-web's client, in one of its two forms. */
function byGrpcWeb(address, { input, output }, format) {
  const client = new grpcWeb.GrpcWebClientBase({ format });
  const path = "/tandem.v1.PredictionService/Predict";
  const method = new grpcWeb.MethodDescriptor(
    path,
    grpcWeb.MethodType.UNARY,
    Object,
    Object,
    (message) => toBinary(input, message),
    (bytes) => fromBinary(output, bytes),
  );
  return (message) => client.unaryCall(address + path, create(input, message), {}, method);
}

/** A function that asks by a transport of Connect's. */
function byConnect({ service }, transport) {
  const client = createClient(service, transport);
  return (message) => client.predict(message);
}

async function labels(ask, texts, route) {
  const found = [];
  for (let at = 0; at < texts.length; at += TEXTS_A_CALL) {
    const answer = await ask({ texts: texts.slice(at, at + TEXTS_A_CALL), route });
    found.push(...answer.predictions.map((prediction) => prediction.label));
  }
  return found;
}

/** Each client's answers to the texts by both routes, and the code that each has for a request without texts. */
window.ask = async (address, texts) => {
  const messages = await contract();
  const clients = {
    "grpc-web, binary": byGrpcWeb(address, messages, "binary"),
    "grpc-web, text": byGrpcWeb(address, messages, "text"),
    "connect-web, JSON": byConnect(messages, createConnectTransport({ baseUrl: address })),
    "connect-web, binary": byConnect(messages, createConnectTransport({ baseUrl: address, useBinaryFormat: true })),
    "connect-web, GET": byConnect(messages, createConnectTransport({ baseUrl: address, useHttpGet: true })),
    "connect-web by gRPC-Web": byConnect(messages, createGrpcWebTransport({ baseUrl: address })),
  };
  const told = {};
  for (const [name, ask] of Object.entries(clients)) {
    const refused = await ask({ texts: [] }).then(
      () => "answered",
      (error) => `${error.code}: ${error instanceof ConnectError ? error.rawMessage : error.message}`,
    );
    told[name] = { fast: await labels(ask, texts, 1), deep: await labels(ask, texts, 2), refused };
  }
  return told;
};
