"""The weights of a model of `tandem train`, out of its ONNX file, and the plain sum that its graph has to agree with."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from .features import NGrams
from .manifest import read_manifest


@dataclass
class FastWeights:
    """A linear model over hashed n-grams."""

    ngrams: NGrams
    codes: np.ndarray  # int8 [buckets, columns]
    steps: np.ndarray  # float64 [columns]: the weight of a bucket is its code times the step of the column
    bias: np.ndarray  # float64 [columns]
    classes: int

    @classmethod
    def read(cls, folder: str | Path) -> "FastWeights":
        """Those of a model folder."""
        manifest = read_manifest(folder)
        graph = onnx.load(Path(folder) / manifest["onnx"]["file"]).graph
        tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        ngrams = NGrams.of(manifest["preprocess"])
        codes, steps, bias = tensors["codes"], tensors["step"].astype(np.float64), tensors["bias"].astype(np.float64)
        return cls(ngrams, codes[: ngrams.buckets], steps, bias, len(manifest["labels"]))

    def logits(self, ids: list[int]) -> np.ndarray:
        """Raw logits of one text. One column for two labels is the log odds of the second."""
        sums = self.codes[ids].astype(np.int64).sum(axis=0)
        columns = sums * self.steps / np.sqrt(len(ids)) + self.bias
        if len(columns) == 1 and self.classes == 2:
            return np.array([-columns[0] / 2, columns[0] / 2])
        return columns
