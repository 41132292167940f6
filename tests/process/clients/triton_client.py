"""Triton's own Python clients, unmodified: gRPC and HTTP, each as it is and with asyncio.

    triton_client.py classify GRPC HTTP   {"model": ..., "texts": [...]} on stdin; on stdout the labels and scores that each client got
    triton_client.py manners GRPC HTTP    asserts
    triton_client.py keyed GRPC HTTP      asserts; the key is on stdin
"""

import asyncio
import json
import sys

import numpy as np
import tritonclient.grpc as grpcclient
import tritonclient.grpc.aio as grpcclient_aio
import tritonclient.http as httpclient
import tritonclient.http.aio as httpclient_aio
from tritonclient.utils import InferenceServerException

BOUND_S = 60
LARGEST_REQUEST = 128
TEXTS = ["정말 재미있게 봤어요", "시간이 아까운 영화"]
LABELS = ["positive", "negative"]


def text_input(module, texts, shape=None, **how):
    array = np.array([text.encode() for text in texts], dtype=np.object_).reshape(shape or [len(texts)])
    tensor = module.InferInput("text", list(array.shape), "BYTES")
    tensor.set_data_from_numpy(array, **how)
    return tensor


def read(result):
    labels = [label.decode() for label in result.as_numpy("label")]
    return list(zip(labels, map(float, result.as_numpy("score")), strict=True))


def parts(texts):
    return [texts[start : start + LARGEST_REQUEST] for start in range(0, len(texts), LARGEST_REQUEST)]


def by_client(module, client, model, texts):
    return [one for part in parts(texts) for one in read(client.infer(model, [text_input(module, part)]))]


async def by_aio(module, client, model, texts):
    async with client:
        found = []
        for part in parts(texts):
            found += read(await client.infer(model, [text_input(module, part)]))
        return found


def classify(grpc, http):
    asked = json.load(sys.stdin)
    model, texts = asked["model"], asked["texts"]
    answers = {
        "grpc": by_client(grpcclient, grpcclient.InferenceServerClient(grpc), model, texts),
        "http": by_client(httpclient, httpclient.InferenceServerClient(http), model, texts),
        "grpc.aio": asyncio.run(by_new(grpcclient_aio, grpc, model, texts)),
        "http.aio": asyncio.run(by_new(httpclient_aio, http, model, texts)),
    }
    json.dump(answers, sys.stdout)


async def by_new(module, address, model, texts):
    # An asyncio client must be made within the loop.
    return await by_aio(module, module.InferenceServerClient(address), model, texts)


def refused(call, *words):
    try:
        call()
    except InferenceServerException as error:
        assert all(word in error.message() for word in words), error
        return error
    raise AssertionError(f"the call should have failed: {words}")


def facts(client, module):
    """What both clients tell alike, as objects or as JSON."""
    plain = (lambda it: it) if module is httpclient else (lambda it: it)
    as_json = {} if module is httpclient else {"as_json": True}
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("sentiment:cascade")
    assert client.is_model_ready("sentiment-fast", "1")
    server = plain(client.get_server_metadata(**as_json))
    assert server["name"] == "tandem" and "binary_tensor_data" in server["extensions"], server
    model = client.get_model_metadata("sentiment-fast", **as_json)
    assert model["versions"] == ["1"] and [one["name"] for one in model["inputs"]] == ["text"], model
    outputs = {one["name"]: [int(size) for size in one["shape"]] for one in model["outputs"]}
    assert outputs == {"label": [-1], "score": [-1], "probabilities": [-1, 2]}, model
    config = client.get_model_config("sentiment:fast", **as_json)
    config = config.get("config", config)
    assert json.loads(config["parameters"]["labels"]["string_value"]) == ["negative", "positive"], config
    assert int(config["max_batch_size"]) == LARGEST_REQUEST, config
    index = client.get_model_repository_index(**as_json)
    index = index if isinstance(index, list) else index["models"]
    states = {(one["name"], one.get("version", "")): one["state"] for one in index}
    assert states[("sentiment-deep", "1")] == states[("sentiment:cascade", "")] == "READY", states


def answers(client, module):
    asked = [text_input(module, TEXTS)]
    result = client.infer("sentiment:fast", asked, request_id="from-triton", timeout=BOUND_S * 1_000_000, priority=1)
    assert [label for label, _ in read(result)] == LABELS
    table = result.as_numpy("probabilities")
    assert table.shape == (2, 2) and table.dtype == np.float32, table
    assert np.allclose(table.max(axis=1), result.as_numpy("score")) and np.allclose(table.sum(axis=1), 1), table
    response = result.get_response()
    response = response if isinstance(response, dict) else {"id": response.id, "model_name": response.model_name}
    assert (response["id"], response["model_name"]) == ("from-triton", "sentiment:fast"), response
    # Rows of one column, one output, an option of Tandem's.
    only = [module.InferRequestedOutput("label")]
    rows = [text_input(module, TEXTS, [2, 1])]
    result = client.infer("sentiment", rows, outputs=only, parameters={"route": "fast"})
    assert [label.decode() for label in result.as_numpy("label")] == LABELS
    assert result.as_numpy("score") is None
    refused(lambda: client.infer("sentiment", asked, parameters={"route": "fastest"}), "parameters.route")
    refused(lambda: client.infer("nothing", asked), "`nothing`", "sentiment-fast")
    refused(lambda: client.infer("sentiment", asked, outputs=[module.InferRequestedOutput("logits")]), "`logits`")
    refused(lambda: client.infer("sentiment", asked, sequence_id=7), "`sequence_")
    refused(lambda: client.load_model("sentiment-fast"), "admin port")
    wrong = module.InferInput("text", [1], "FP32")
    wrong.set_data_from_numpy(np.array([1.0], dtype=np.float32))
    refused(lambda: client.infer("sentiment", [wrong]), "text.datatype", "`FP32`")


def manners(grpc, http):
    grpc, http = grpcclient.InferenceServerClient(grpc), httpclient.InferenceServerClient(http)
    for client, module in [(grpc, grpcclient), (http, httpclient)]:
        facts(client, module)
        answers(client, module)
    many = TEXTS * 64
    result = grpc.infer("sentiment:fast", [text_input(grpcclient, many)], compression_algorithm="gzip")
    assert [label for label, _ in read(result)] == LABELS * 64
    late = refused(lambda: grpc.infer("sentiment:deep", [text_input(grpcclient, many)], client_timeout=0.0001))
    assert late.status() == "StatusCode.DEADLINE_EXCEEDED", late
    for packing in ["gzip", "deflate"]:
        asked = [text_input(httpclient, many)]
        how = {"request_compression_algorithm": packing, "response_compression_algorithm": packing}
        assert [label for label, _ in read(http.infer("sentiment:fast", asked, **how))] == LABELS * 64
    # Elements as JSON both ways.
    asked = [text_input(httpclient, TEXTS, [2, 1], binary_data=False)]
    wanted = [httpclient.InferRequestedOutput(name, binary_data=False) for name in ["label", "score", "probabilities"]]
    result = http.infer("sentiment:fast", asked, outputs=wanted)
    assert list(result.as_numpy("label")) == LABELS and result.as_numpy("probabilities").shape == (2, 2)


def keyed(grpc, http):
    headers = {"authorization": f"Bearer {sys.stdin.read().strip()}"}
    for module, address in [(grpcclient, grpc), (httpclient, http)]:
        client = module.InferenceServerClient(address)
        assert client.is_server_live() and client.is_server_ready()
        refused(lambda: client.infer("sentiment:fast", [text_input(module, TEXTS)]), "key")
        result = client.infer("sentiment:fast", [text_input(module, TEXTS)], headers=headers)
        assert [label for label, _ in read(result)] == LABELS


{"classify": classify, "manners": manners, "keyed": keyed}[sys.argv[1]](*sys.argv[2:])
