"""What Triton's Python backend runs: all requests of a batch are one run of the model."""

import numpy as np
import triton_python_backend_utils as triton
from classifier import from_environment


class TritonPythonModel:
    def initialize(self, _arguments: dict) -> None:
        self.classifier = from_environment()

    def execute(self, requests: list) -> list:
        texts = [triton.get_input_tensor_by_name(one, "text").as_numpy().reshape(-1) for one in requests]
        answers = iter(self.classifier.classify([text.decode() for each in texts for text in each]))
        return [self.response([next(answers) for _ in each]) for each in texts]

    def response(self, answers: list[dict]):
        labels = np.array([[answer["label"].encode()] for answer in answers], np.object_)
        confidences = np.array([[answer["confidence"]] for answer in answers], np.float32)
        tensors = triton.Tensor("label", labels), triton.Tensor("confidence", confidences)
        return triton.InferenceResponse(output_tensors=list(tensors))
