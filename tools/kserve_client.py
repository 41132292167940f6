"""Compares the answers that KServe's own Python client gets, unmodified, with those of `POST /v1/predict`, and tries its manners.

    cargo build --release
    pip install kserve==0.21.0
    python tools/kserve_client.py [--binary target/release/tandem]

200 reviews by the fast model and by the cascade, over gRPC and REST of the Open Inference Protocol (elements in the message, in
JSON, and in binary) and by KServe's first protocol. Ends with 1 where a label differs or a score is further off than 1e-4. Not a
part of `make ci`: the client brings 65 packages with it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import grpc
import httpx
import numpy as np
from answers import ROOT, free_port
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

LARGEST_REQUEST = 128
TOLERANCE = 1e-4
READY_S = 120


def parts(texts):
    return [texts[start : start + LARGEST_REQUEST] for start in range(0, len(texts), LARGEST_REQUEST)]


def by_v1_predict(base, route, texts):
    found = []
    for part in parts(texts):
        body = json.dumps({"texts": part, "route": f"ROUTE_{route.upper()}"}).encode()
        request = urllib.request.Request(f"{base}/v1/predict", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            found += [(one["label"], one["confidence"]) for one in json.load(answer)["predictions"]]
    return found


def request(model, texts, binary):
    """As the client makes it: elements in one piece of bytes, or one by one."""
    tensor = InferInput("text", [len(texts)], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode() for text in texts], dtype=np.object_), binary_data=binary)
    return InferRequest(model_name=model, infer_inputs=[tensor])


def read(response):
    outputs = {one.name: one.as_numpy() for one in response.outputs}
    labels = [label.decode() if isinstance(label, bytes) else label for label in outputs["label"]]
    return list(zip(labels, map(float, outputs["score"]), strict=True))


class Clients:
    def __init__(self, grpc_address, base):
        self.base = base
        self.grpc = InferenceGRPCClient(grpc_address)
        self.rest = InferenceRESTClient(RESTConfig(protocol="v2"))
        self.first = InferenceRESTClient(RESTConfig(protocol="v1"))

    async def classify(self, model, texts):
        answers = {"gRPC": [], "gRPC, raw": [], "REST": [], "REST, binary": [], "v1": []}
        for part in parts(texts):
            for way, binary in [("gRPC", False), ("gRPC, raw", True)]:
                answers[way] += read(await self.grpc.infer(request(model, part, binary)))
            for way, binary in [("REST", False), ("REST, binary", True)]:
                answers[way] += read(await self.rest.infer(self.base, request(model, part, binary), model_name=model))
            told = await self.first.infer(self.base, {"instances": part}, model_name=model)
            answers["v1"] += [(one["label"], one["score"]) for one in told["predictions"]]
        return answers

    async def manners(self):
        assert await self.grpc.is_server_live() and await self.grpc.is_server_ready()
        assert await self.grpc.is_model_ready("sentiment:cascade")
        assert await self.rest.is_server_live(self.base) and await self.rest.is_server_ready(self.base)
        assert await self.rest.is_model_ready(self.base, "sentiment-fast")
        try:
            await self.rest.infer(self.base, request("nothing", ["a"], False), model_name="nothing")
            raise AssertionError("there is no such model")
        except httpx.HTTPStatusError as error:
            assert error.response.status_code == 404 and "`nothing`" in str(error), error
        try:
            await self.grpc.infer(request("nothing", ["a"], True))
            raise AssertionError("there is no such model")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.NOT_FOUND and "`nothing`" in error.details(), error

    async def close(self):
        await self.grpc.close()
        await self.rest.close()
        await self.first.close()


async def compare(grpc_address, base):
    with open(ROOT / "tests/data/reviews.tsv", encoding="utf-8") as file:
        texts = [line.rstrip("\n").split("\t")[2] for line in list(file)[1:201]]
    clients = Clients(grpc_address, base)
    await clients.manners()
    print("readiness and refusals: as the client expects them")
    failed = False
    for route in ["fast", "cascade"]:
        expected = by_v1_predict(base, route, texts)
        for way, found in (await clients.classify(f"sentiment:{route}", texts)).items():
            assert len(found) == len(expected) == 200, way
            labels = sum(one[0] != other[0] for one, other in zip(found, expected))
            furthest = max(abs(one[1] - other[1]) for one, other in zip(found, expected))
            print(f"{route}, {way}: {len(found)} texts, {labels} labels differ, scores by at most {furthest:.1e}")
            failed |= labels > 0 or furthest > TOLERANCE
    await clients.close()
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/tandem")
    binary = parser.parse_args().binary.resolve()
    # The client logs each refusal that it raises.
    logging.disable(logging.CRITICAL)
    at_grpc, at_http = (f"127.0.0.1:{free_port()}" for _ in range(2))
    base = f"http://{at_http}"
    command = [binary, "serve", "--grpc-addr", at_grpc, "--http-addr", at_http, "--log-filter", "error"]
    with subprocess.Popen(command, cwd=ROOT) as server:
        try:
            for _ in range(READY_S * 10):
                try:
                    urllib.request.urlopen(f"{base}/readyz", timeout=5).close()
                    break
                except (urllib.error.URLError, ConnectionError):
                    time.sleep(0.1)
            sys.exit(asyncio.run(compare(at_grpc, base)))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
