"""How far the exported model strays: from its float32 parent, and from itself when batched."""

import math
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from .deep_data import Encoded, gather, in_order
from .model import Encoding, Model

MARGIN = 1.5  # a tolerance is this much above the largest difference seen
LARGEST_BATCH = 32
ALONE_ROWS = 4000


@dataclass(frozen=True)
class Differences:
    """The largest differences of a logit."""

    alone: float
    batched: float
    batch_dependence: float  # the same text alone and in batches

    @property
    def alone_tolerance(self) -> float:
        return tolerance(self.alone)

    @property
    def batched_tolerance(self) -> float:
        return tolerance(max(self.alone, self.batched))


def tolerance(difference: float) -> float:
    """With the margin, rounded up to a hundredth, or to a ten-thousandth where it is small."""
    steps = 100 if difference > 0.005 else 10_000
    return math.ceil(MARGIN * difference * steps) / steps


def measured(value: float) -> float:
    """Two digits that count."""
    return float(f"{value:.2g}")


def differences(
    model: Model, encodings: list[Encoding], golden: np.ndarray, held_out: Encoded, parent: np.ndarray
) -> Differences:
    """Runs the golden texts and the first held-out reviews alone, in order and in random batches."""
    count = min(ALONE_ROWS, len(held_out.label))
    reviews = [
        Encoding(held_out.ids[held_out.starts[row] : held_out.starts[row + 1]].tolist(), False) for row in range(count)
    ]
    every = [*encodings, *reviews]
    wanted = np.concatenate([golden, parent[:count]])
    alone = np.concatenate([model.run([encoding]) for encoding in tqdm(every, desc="alone")])
    batched, dependence = 0.0, 0.0
    random = np.random.default_rng(0)
    for size in (2, 8, LARGEST_BATCH):
        # The golden texts in their order, shuffled, and mixed with reviews of all lengths.
        golden_order = np.arange(len(encodings))
        for order in (golden_order, random.permutation(golden_order), random.permutation(len(every))[:1000]):
            for start in range(0, len(order), size):
                rows = order[start : start + size]
                found = model.run([every[row] for row in rows])
                batched = max(batched, float(np.abs(found - wanted[rows]).max()))
                dependence = max(dependence, float(np.abs(found - alone[rows]).max()))
    # Every held-out review in batches of its own length.
    for rows in tqdm(list(in_order(held_out, 2048)), desc="batched"):
        found = model.run([Encoding(ids.tolist(), False) for ids in gather(held_out, rows)])
        batched = max(batched, float(np.abs(found - parent[rows]).max()))
    alone_most = float(np.abs(alone - wanted).max())
    return Differences(max(alone_most, batched) if dependence < alone_most / 100 else alone_most, batched, dependence)
