"""The fast model as numbers: a four-bit code a bucket, the levels, the bias.

This is the training framework's own arithmetic (numpy), which golden examples and the
parity file come from; the ONNX graph has to agree with it.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from .features import NGrams, Rows


@dataclass
class FastWeights:
    """A linear model over hashed n-grams."""

    ngrams: NGrams
    codes: np.ndarray  # uint8 [buckets], each below 16
    levels: np.ndarray  # float32 [16], one of them zero
    bias: float

    @cached_property
    def table(self) -> np.ndarray:
        """The weight of each bucket."""
        return self.levels[self.codes]

    def logits(self, ids: list[int]) -> np.ndarray:
        """Raw logits of one text, negative and positive."""
        z = self.table[ids].astype(np.float64).sum() / np.sqrt(len(ids)) + self.bias
        return np.array([-z / 2, z / 2])

    def scores(self, rows: Rows) -> np.ndarray:
        """The log-odds of positive of many texts."""
        sums = np.add.reduceat(self.table[rows.ids].astype(np.float64), rows.starts[:-1])
        return sums / np.sqrt(np.diff(rows.starts)) + self.bias

    def save(self, path: str | Path) -> None:
        """Writes one .npz file."""
        np.savez_compressed(path, codes=self.codes, levels=self.levels, bias=self.bias, **asdict(self.ngrams))

    @classmethod
    def load(cls, path: str | Path) -> "FastWeights":
        """Reads what `save` wrote."""
        with np.load(path) as file:
            settings = {name: int(file[name]) for name in ("min_n", "max_n", "buckets", "max_code_points")}
            return cls(NGrams(**settings), file["codes"], file["levels"], float(file["bias"]))
