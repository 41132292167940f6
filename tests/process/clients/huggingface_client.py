"""Hugging Face's client and requests, unmodified, against one server.

    huggingface_client.py ADDRESS   {"texts": [...]} on stdin; on stdout a JSON object with the labels by each way
"""

import json
import sys

import requests
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

BOUND_S = 60
LARGEST_REQUEST = 128


def batches(texts):
    return (texts[start : start + LARGEST_REQUEST] for start in range(0, len(texts), LARGEST_REQUEST))


def post(url, body):
    answer = requests.post(url, json=body, timeout=BOUND_S)
    answer.raise_for_status()
    return answer.json()


def main():
    base = f"http://{sys.argv[1]}"
    texts = json.load(sys.stdin)["texts"]
    labels = {}
    # The client wants a list of lists, as Hugging Face's inference API answers.
    client = InferenceClient(model=f"{base}/classify", timeout=BOUND_S)
    answers = [client.text_classification(text) for text in texts]
    assert all(len(answer) == 2 and answer[0].score >= answer[1].score for answer in answers)
    labels["classify"] = [answer[0].label for answer in answers]
    best = client.text_classification(texts[0], top_k=1)
    assert [one.label for one in best] == labels["classify"][:1], best
    raw = client.text_classification(texts[0], function_to_apply="none")
    assert abs(sum(one.score for one in raw) - 1) > 1e-3, raw
    # text-embeddings-inference answers one text with one list, of which the client takes the first score.
    client = InferenceClient(model=base, timeout=BOUND_S)
    labels["root"] = [client.text_classification(text).label for text in texts[:20]]
    client = InferenceClient(model=f"{base}/predict", timeout=BOUND_S)
    batch = client.text_classification([[text] for text in texts[:20]])
    assert batch[0].label == labels["root"][0], batch
    try:
        client.text_classification(["a", "b", "c"])
        raise AssertionError("three texts are no pair")
    except HfHubHTTPError as error:
        assert error.response.status_code == 422, error
        assert error.response.json()["error_type"] == "Validation", error.response.text

    labels["predict"] = [
        scores[0]["label"]
        for batch in batches(texts)
        for scores in post(f"{base}/predict", {"inputs": [[text] for text in batch]})
    ]
    labels["vllm"] = [
        one["label"]
        for batch in batches(texts)
        for one in post(f"{base}/v1/classify", {"model": "sentiment", "input": batch})["data"]
    ]
    labels["kserve"] = [
        one["label"]
        for batch in batches(texts)
        for one in post(f"{base}/v1/models/sentiment:predict", {"instances": batch})["predictions"]
    ]
    info = requests.get(f"{base}/info", timeout=BOUND_S).json()
    assert "classifier" in info["model_type"], info
    assert requests.get(f"{base}/health", timeout=BOUND_S).status_code == 200
    json.dump(labels, sys.stdout)


main()
