"""LitServe with a model of one's own, in one worker, with batches across requests."""

import os

from classifier import from_environment
from litserve import LitAPI, LitServer


class Labels(LitAPI):
    def setup(self, device) -> None:
        self.classifier = from_environment()

    def decode_request(self, request) -> list[str]:
        return request["texts"]

    def batch(self, inputs: list[list[str]]) -> list[list[str]]:
        return inputs

    def predict(self, requests: list[list[str]]) -> list[list[dict]]:
        answers = iter(self.classifier.classify([text for texts in requests for text in texts]))
        return [[next(answers) for _ in texts] for texts in requests]

    def unbatch(self, output):
        return output

    def encode_response(self, output: list[dict]) -> list[dict]:
        return output


if __name__ == "__main__":
    api = Labels(max_batch_size=32, batch_timeout=0.001, api_path="/predict")
    server = LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False, log_level="warning")
