"""A Python client of text-embeddings-inference as a user would write it: stubs that grpcio's compiler made of its protocol.

    tei_client.py classify ADDRESS   {"texts": [...]} on stdin; on stdout the labels and scores of each method
    tei_client.py pairs ADDRESS      {"texts": [...], "pairs": [...]} on stdin; the same
    tei_client.py manners ADDRESS    asserts
"""

import json
import sys

import grpc
from tei.v1 import tei_pb2 as pb
from tei.v1 import tei_pb2_grpc as pb_grpc

BOUND_S = 60


def best(answer):
    scores = [one.score for one in answer.predictions]
    assert scores == sorted(scores, reverse=True), answer
    return answer.predictions[0].label, answer.predictions[0].score


def classify(stub, _):
    texts = json.load(sys.stdin)["texts"]
    requests = [pb.PredictRequest(inputs=text, truncate=True) for text in texts]
    answers = {
        "Predict": [best(stub.Predict(one, timeout=BOUND_S)) for one in requests],
        "PredictStream": [best(one) for one in stub.PredictStream(iter(requests), timeout=BOUND_S)],
    }
    json.dump(answers, sys.stdout)


def pairs(stub, _):
    asked = json.load(sys.stdin)
    both = zip(asked["texts"], asked["pairs"], strict=True)
    requests = [pb.PredictPairRequest(inputs=list(pair), truncate=True) for pair in both]
    answers = {
        "PredictPair": [best(stub.PredictPair(one, timeout=BOUND_S)) for one in requests],
        "PredictPairStream": [best(one) for one in stub.PredictPairStream(iter(requests), timeout=BOUND_S)],
    }
    json.dump(answers, sys.stdout)


def failure(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call should have failed")


def manners(stub, channel):
    info = pb_grpc.InfoStub(channel).Info(pb.InfoRequest(), timeout=BOUND_S)
    assert info.model_type == pb.MODEL_TYPE_CLASSIFIER and info.max_client_batch_size == 128, info
    answer = stub.Predict(pb.PredictRequest(inputs="정말 재미있게 봤어요", truncate=True), timeout=BOUND_S)
    assert best(answer)[0] == "positive" and answer.metadata.compute_chars == 11, answer
    raw = stub.Predict(pb.PredictRequest(inputs="정말 재미있게 봤어요", raw_scores=True), timeout=BOUND_S)
    assert abs(sum(one.score for one in raw.predictions) - 1) > 1e-3, raw
    wrong = pb.PredictRequest(inputs="a", truncation_direction=7)
    error = failure(lambda: stub.Predict(wrong, timeout=BOUND_S))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and "truncation_direction" in error.details(), error
    # The answers before the one that fails come, then the failure.
    stream = stub.PredictStream(iter([pb.PredictRequest(inputs="a", truncate=True), wrong]), timeout=BOUND_S)
    assert len(next(stream).predictions) == 2
    error = failure(lambda: next(stream))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and "truncation_direction" in error.details(), error
    error = failure(lambda: stub.PredictPair(pb.PredictPairRequest(inputs=["a"]), timeout=BOUND_S))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and "inputs: holds 1 texts" in error.details(), error


if __name__ == "__main__":
    with grpc.insecure_channel(sys.argv[2]) as open_channel:
        work = {"classify": classify, "pairs": pairs, "manners": manners}[sys.argv[1]]
        work(pb_grpc.PredictStub(open_channel), open_channel)
