"""MLServer (Seldon's) with a runtime of one's own, over the Open Inference Protocol, with its adaptive batching."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from classifier import from_environment
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import StringCodec
from mlserver.settings import ModelParameters
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Labels(MLModel):
    async def load(self) -> bool:
        self.classifier, self.runner = from_environment(), ThreadPoolExecutor(1)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        texts = StringCodec.decode_input(payload.inputs[0])
        loop = asyncio.get_running_loop()
        answers = await loop.run_in_executor(self.runner, self.classifier.classify, texts)
        confidences = [answer["confidence"] for answer in answers]
        outputs = [
            StringCodec.encode_output("label", [answer["label"] for answer in answers]),
            ResponseOutput(name="confidence", shape=[len(texts), 1], datatype="FP32", data=confidences),
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)


async def serve() -> None:
    # No workers: the model runs in this process, which is the quicker of the two for one model.
    settings = Settings(
        host="127.0.0.1",
        http_port=int(os.environ["PORT"]),
        grpc_port=int(os.environ["SPARE_PORT"]),
        metrics_endpoint=None,
        parallel_workers=0,
        debug=False,
        load_models_at_startup=False,
    )
    model = ModelSettings(
        name="texts", implementation=Labels, max_batch_size=32, max_batch_time=0.001, parameters=ModelParameters()
    )
    await MLServer(settings).start([model])


if __name__ == "__main__":
    asyncio.run(serve())
