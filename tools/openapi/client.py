"""Classifies texts by the client that openapi-python-client made: client.py ADDRESS TEXT..., a label each."""

import sys

from tandem_client import Client
from tandem_client.api.prediction import predict
from tandem_client.models import PredictRequest, PredictResponse, Route


def labels(address: str, texts: list[str]) -> list[str]:
    with Client(base_url=address) as client:
        answer = predict.sync(client=client, body=PredictRequest(texts=texts, route=Route.ROUTE_FAST))
    assert isinstance(answer, PredictResponse), answer
    return [prediction.label for prediction in answer.predictions]


print("\n".join(labels(sys.argv[1], sys.argv[2:])))
