"""KServe's Python server with a model of one's own, over the Open Inference Protocol, as its documentation shows."""

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor

import kserve.protocol.rest.server as rest
from classifier import from_environment
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.utils.utils import generate_uuid


class Labels(Model):
    def __init__(self) -> None:
        super().__init__("texts")
        self.classifier, self.runner = from_environment(), ThreadPoolExecutor(1)
        self.ready = True

    async def predict(self, payload: InferRequest, headers=None, response_headers=None) -> InferResponse:
        # `as_string` would want rows of columns: over HTTP a text is a str already.
        texts = payload.inputs[0].data
        loop = asyncio.get_running_loop()
        answers = await loop.run_in_executor(self.runner, self.classifier.classify, texts)
        rows = [
            InferOutput("label", [len(texts)], "BYTES", [answer["label"] for answer in answers]),
            InferOutput("confidence", [len(texts)], "FP32", [answer["confidence"] for answer in answers]),
        ]
        return InferResponse(generate_uuid(), self.name, rows)


class Loopback(rest.uvicorn.Config):
    """The server's address is fixed to all interfaces; here it listens on loopback alone."""

    def __init__(self, app, **settings) -> None:
        super().__init__(app, **settings | {"host": "127.0.0.1"})


if __name__ == "__main__":
    rest.uvicorn.Config = Loopback
    port = int(os.environ["PORT"])
    server = ModelServer(http_port=port, enable_grpc=False, enable_latency_logging=False, event_loop="uvloop")
    # A line or more a call otherwise: the others write none.
    for name in "kserve.trace", "uvicorn.access":
        logging.getLogger(name).setLevel(logging.WARNING)
    server.start([Labels()])
