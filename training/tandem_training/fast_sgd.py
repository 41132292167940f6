"""Averaged AdaGrad for a logistic regression over hashed n-grams, one row at a time.

Targets may lie between 0 and 1 (a star rating's share of positives). Each epoch ends in a
checkpoint, and a run that was stopped goes on from the last one.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numba
import numpy as np
from tqdm import tqdm

from .features import Rows

PARTS = 8  # an epoch is split for the progress bar, the learning rate and the average


@dataclass(frozen=True)
class Settings:
    """How to train."""

    epochs: int = 4
    learning_rate: float = 0.5
    l2: float = 2e-4
    dropout: float = 0.2  # the share of a row's n-grams left out at random
    seed: int = 1


@dataclass
class State:
    """Everything that a checkpoint holds."""

    buckets: int
    epoch: int = 0
    weights: np.ndarray = field(init=False)
    squares: np.ndarray = field(init=False)
    total: np.ndarray = field(init=False)  # the sum of the weights that are averaged
    bias: np.ndarray = field(init=False)  # bias, its squares, and the sum that is averaged
    summed: int = 0

    def __post_init__(self) -> None:
        self.weights = np.zeros(self.buckets, np.float32)
        self.squares = np.full(self.buckets, 0.01, np.float32)
        self.total = np.zeros(self.buckets, np.float32)
        self.bias = np.array([0.0, 1.0, 0.0])

    def averaged(self) -> tuple[np.ndarray, float]:
        """The mean weights and bias of the second half of the epochs."""
        return self.total / self.summed, float(self.bias[2] / self.summed)

    def save(self, path: Path, settings: Settings) -> None:
        arrays = {name: getattr(self, name) for name in ("weights", "squares", "total", "bias", "epoch", "summed")}
        unfinished = path.with_suffix(".new.npz")
        np.savez(unfinished, settings=repr(settings), **arrays)
        unfinished.replace(path)

    def load(self, path: Path, settings: Settings) -> None:
        with np.load(path) as file:
            if str(file["settings"]) != repr(settings) or len(file["weights"]) != self.buckets:
                raise SystemExit(f"{path} is of a run with other settings: --restart ignores it")
            for name in ("weights", "squares", "total", "bias"):
                setattr(self, name, file[name])
            self.epoch, self.summed = int(file["epoch"]), int(file["summed"])


def train(rows: Rows, targets: np.ndarray, weights: np.ndarray, settings: Settings, state: State, path: Path) -> None:
    """Trains from where `state` stands to the last epoch; rows of weight 0 are left out."""
    scale = (1 / np.sqrt(np.diff(rows.starts))).astype(np.float32)
    used = np.flatnonzero(weights)
    for epoch in range(state.epoch, settings.epochs):
        order = np.random.default_rng([settings.seed, epoch]).permutation(used)
        bar = tqdm(np.array_split(order, PARTS), desc=f"epoch {epoch + 1} of {settings.epochs}")
        losses = []
        for part, chosen in enumerate(bar):
            left = 1 - (epoch + part / PARTS) / settings.epochs
            loss = _pass(
                chosen, rows.ids, rows.starts, scale, targets, weights, state.weights, state.squares, state.bias,
                settings.learning_rate * left, settings.l2, settings.dropout,
                (settings.seed * 1_000 + epoch) * PARTS + part,
            )  # fmt: skip
            losses.append(loss)
            bar.set_postfix(loss=f"{np.mean(losses):.4f}")
            if 2 * epoch >= settings.epochs:
                state.total += state.weights
                state.bias[2] += state.bias[0]
                state.summed += 1
        state.epoch = epoch + 1
        state.save(path, settings)


@numba.njit(fastmath=True)
def _pass(order, ids, starts, scale, targets, importance, weights, squares, bias, rate, l2, dropout, seed):
    np.random.seed(seed)
    kept = np.empty(8192, np.int64)
    loss = 0.0
    total = 0.0
    for row in order:
        size = 0
        score = 0.0
        for position in range(starts[row], starts[row + 1]):
            if np.random.random() >= dropout:
                kept[size] = ids[position]
                score += weights[ids[position]]
                size += 1
        factor = scale[row] / (1 - dropout)
        z = score * factor + bias[0]
        error = importance[row] * (1 / (1 + np.exp(-z)) - targets[row])
        loss += importance[row] * (np.log1p(np.exp(-abs(z))) + max(z, 0.0) - targets[row] * z)
        total += importance[row]
        for position in range(size):
            bucket = kept[position]
            slope = error * factor + l2 * weights[bucket]
            squares[bucket] += slope * slope
            weights[bucket] -= rate * slope / np.sqrt(squares[bucket])
        bias[1] += error * error
        bias[0] -= rate * error / np.sqrt(bias[1])
    return loss / total
