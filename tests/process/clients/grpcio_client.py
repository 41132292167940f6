"""A Python client as a user would write it: generated stubs, health, reflection, deadlines, error details, a stream.

    grpcio_client.py classify ADDRESS   {"texts": [...], "route": "ROUTE_FAST"} on stdin, predictions as JSON on stdout
    grpcio_client.py manners ADDRESS    asserts
    grpcio_client.py pauses ADDRESS     asserts; the key on stdin is good for one text a second
    grpcio_client.py gives_up ADDRESS   the same
"""

import json
import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tandem.v1 import prediction_pb2 as pb
from tandem.v1 import prediction_pb2_grpc as pb_grpc

BOUND_S = 60
LARGEST_REQUEST = 128


def classify(channel):
    asked = json.load(sys.stdin)
    stub = pb_grpc.PredictionServiceStub(channel)
    predictions = []
    for start in range(0, len(asked["texts"]), LARGEST_REQUEST):
        texts = asked["texts"][start : start + LARGEST_REQUEST]
        request = pb.PredictRequest(texts=texts, route=pb.Route.Value(asked["route"]))
        answer = stub.Predict(request, timeout=BOUND_S)
        predictions += [{"label": one.label, "confidence": one.confidence} for one in answer.predictions]
    json.dump(predictions, sys.stdout)


def failure(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call should have failed")


def details(error):
    metadata = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    assert status.code == error.code().value[0], status
    assert status.message == error.details(), status
    return {one.type_url.rsplit("/")[-1]: one.value for one in status.details}


def unary(stub):
    answer, call = stub.Predict.with_call(
        pb.PredictRequest(texts=["정말 재미있게 봤어요", "시간이 아까운 영화"], route=pb.ROUTE_FAST, top_k=2),
        timeout=BOUND_S,
        metadata=[("x-request-id", "from-python")],
    )
    assert [one.label for one in answer.predictions] == ["positive", "negative"], answer
    for one in answer.predictions:
        assert one.tier == pb.TIER_FAST and one.decision == pb.DECISION_REQUESTED, one
        assert abs(sum(score.score for score in one.scores) - 1) < 1e-5, one
    assert [(model.name, model.tier) for model in answer.models] == [("sentiment-fast", pb.TIER_FAST)], answer
    assert answer.timing.total_duration.ToNanoseconds() > 0, answer
    assert ("x-request-id", "from-python") in [tuple(pair) for pair in call.initial_metadata()]


def compressed(stub):
    request = pb.PredictRequest(texts=["재미있다"] * 100, route=pb.ROUTE_FAST)
    answer = stub.Predict(request, timeout=BOUND_S, compression=grpc.Compression.Gzip)
    assert len(answer.predictions) == 100, answer


def deadline(stub):
    error = failure(lambda: stub.Predict(pb.PredictRequest(texts=["영화"] * 128), timeout=0.000001))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error


def error_details(stub):
    error = failure(lambda: stub.Predict(pb.PredictRequest(texts=["영화"], top_k=-1), timeout=BOUND_S))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
    found = details(error)
    assert b"INVALID_FIELD" in found["google.rpc.ErrorInfo"], found
    assert b"top_k" in found["google.rpc.BadRequest"], found

    request = pb.PredictRequest(texts=["영화"], model="unknown")
    error = failure(lambda: stub.Predict(request, timeout=BOUND_S))
    assert error.code() == grpc.StatusCode.NOT_FOUND, error
    assert b"MODEL_NOT_FOUND" in details(error)["google.rpc.ErrorInfo"], error


def stream(stub):
    requests = [
        pb.PredictStreamRequest(id=str(at), request=pb.PredictRequest(texts=[text], route=route))
        for at, (text, route) in enumerate([("좋다", pb.ROUTE_FAST), ("나쁘다", pb.ROUTE_DEEP)] * 10)
    ]
    requests.append(pb.PredictStreamRequest(id="bad", request=pb.PredictRequest()))
    answers = {one.id: one for one in stub.PredictStream(iter(requests), timeout=BOUND_S)}
    assert set(answers) == {one.id for one in requests}, answers
    bad = answers.pop("bad")
    assert bad.status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0], bad
    for one in answers.values():
        assert len(one.response.predictions) == 1, one


def health(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    for name in ["", "tandem.v1.PredictionService", "sentiment-fast", "sentiment-deep"]:
        request = health_pb2.HealthCheckRequest(service=name)
        answer = stub.Check(request, timeout=BOUND_S)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, (name, answer)
        watch = stub.Watch(request, timeout=BOUND_S)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING, name
        watch.cancel()
    error = failure(lambda: stub.Check(health_pb2.HealthCheckRequest(service="unknown"), timeout=BOUND_S))
    assert error.code() == grpc.StatusCode.NOT_FOUND, error
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="unknown"), timeout=BOUND_S)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


def listed_health(channel):
    statuses = health_pb2_grpc.HealthStub(channel).List(health_pb2.HealthListRequest(), timeout=BOUND_S).statuses
    assert {"", "tandem.v1.PredictionService", "sentiment-fast", "sentiment-deep"} <= set(statuses), statuses
    assert {one.status for one in statuses.values()} == {health_pb2.HealthCheckResponse.SERVING}, statuses


def reflection(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    assert {"tandem.v1.PredictionService", "grpc.health.v1.Health"} <= set(database.get_services())
    service = DescriptorPool(database).FindServiceByName("tandem.v1.PredictionService")
    ours = pb.DESCRIPTOR.services_by_name["PredictionService"]
    assert [method.name for method in service.methods] == [method.name for method in ours.methods]
    service = DescriptorPool(database).FindServiceByName("grpc.health.v1.Health")
    theirs = health_pb2.DESCRIPTOR.services_by_name["Health"]
    assert {method.name for method in service.methods} == {method.name for method in theirs.methods}


def manners(channel):
    stub = pb_grpc.PredictionServiceStub(channel)
    for check in (unary, compressed, deadline, error_details, stream):
        check(stub)
    for check in (health, listed_health, reflection):
        check(channel)


def pauses(channel):
    """grpc itself waits for the pause that a refusal tells, and calls again: the caller sees answers alone."""
    stub = pb_grpc.PredictionServiceStub(channel)
    key = ("authorization", f"Bearer {sys.stdin.read()}")
    for _ in range(4):
        request = pb.PredictRequest(texts=["재미있다"], route=pb.ROUTE_FAST)
        answer = stub.Predict(request, timeout=BOUND_S, metadata=[key])
        assert answer.predictions[0].label == "positive", answer


def gives_up(channel):
    """Two texts are more than the key may ever send at once, and some messages are too large for anybody."""
    stub = pb_grpc.PredictionServiceStub(channel)
    key = ("authorization", f"Bearer {sys.stdin.read()}")
    for texts in [["a", "b"], ["a" * 5_000_000]]:
        request = pb.PredictRequest(texts=texts, route=pb.ROUTE_FAST)
        error = failure(lambda: stub.Predict(request, timeout=BOUND_S, metadata=[key]))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
        assert ("grpc-retry-pushback-ms", "-1") in error.trailing_metadata(), error
        assert "google.rpc.RetryInfo" not in details(error), error


def retries(backoff):
    policy = {
        "maxAttempts": 3,
        "initialBackoff": backoff,
        "maxBackoff": backoff,
        "backoffMultiplier": 1,
        "retryableStatusCodes": ["RESOURCE_EXHAUSTED"],
    }
    return [("grpc.service_config", json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": policy}]}))]


if __name__ == "__main__":
    # One usual wait is far too long, so that it is the told pause that makes a call succeed; the other would be short.
    options = {"pauses": retries("600s"), "gives_up": retries("0.01s")}.get(sys.argv[1], [])
    with grpc.insecure_channel(sys.argv[2], options) as open_channel:
        work = {"classify": classify, "manners": manners, "pauses": pauses, "gives_up": gives_up}[sys.argv[1]]
        work(open_channel)
