"""One head: a softmax regression on what the encoder gives, its temperature, and its figures.

    rows = read_texts("sentiment.tsv")
    head = train("sentiment", rows, pooled, labels)
"""

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from . import SEED
from .calibration import expected_calibration_error, fit_temperature, softmax
from .data import open_text
from .metrics import accuracy, macro_f1
from .text import fold

LEAST_ROWS = 10  # of each label: eight to train on, one for the temperature, one for the figures
DECAY = 1e-3
STEPS = 200


class Row(NamedTuple):
    """A text with its label."""

    text: str
    label: str


@dataclass(frozen=True)
class Head:
    """A trained head."""

    task: str
    labels: list[str]
    linear: nn.Linear
    temperature: float
    metrics: dict


class Parts(NamedTuple):
    """The rows of a file by their use."""

    train: list[int]
    temperature: list[int]
    held_out: list[int]


def read_texts(path: str | Path) -> list[Row]:
    """Reads a file with the columns `text` and `label` (tabs, or commas and quotes in a .csv); a text counts once."""
    comma = str(path).removesuffix(".xz").endswith(".csv")
    with open_text(path) as file:
        lines = csv.reader(file) if comma else (line.rstrip("\r\n").split("\t") for line in file)
        header = next(iter(lines), [])
        missing = [name for name in ("text", "label") if name not in header]
        if missing:
            raise ValueError(f"{path}: has no column {missing[0]!r} among {header}")
        text, label = header.index("text"), header.index("label")
        rows = []
        for number, line in enumerate(lines, 2):
            if len(line) != len(header):
                raise ValueError(f"{path}: line {number} has {len(line)} columns, the header {len(header)}")
            rows.append(Row(line[text], line[label]))
    return list({fold(row.text): row for row in rows}.values())


def labels_of(path: str | Path, rows: Sequence[Row], asked: Sequence[str] | None = None) -> list[str]:
    """The labels in the order asked for, or in that of the alphabet."""
    counts = {label: sum(row.label == label for row in rows) for label in sorted({row.label for row in rows})}
    if asked is not None and (sorted(asked) != list(counts)):
        raise ValueError(f"{path}: holds the labels {', '.join(counts)}, not {', '.join(asked)}")
    if len(counts) < 2:
        raise ValueError(f"{path}: holds one label; a head needs two")
    for label, count in counts.items():
        if count < LEAST_ROWS:
            raise ValueError(f"{path}: the label {label!r} has {count} texts; {LEAST_ROWS} are needed")
    return list(asked or counts)


def split(rows: Sequence[Row]) -> Parts:
    """Eight tenths of each label to train on, a tenth for the temperature, a tenth for the figures."""
    parts = Parts([], [], [])
    for label in sorted({row.label for row in rows}):
        places = [at for at, row in enumerate(rows) if row.label == label]
        random.Random(SEED).shuffle(places)
        tenth = len(places) // 10
        parts.held_out.extend(places[:tenth])
        parts.temperature.extend(places[tenth : 2 * tenth])
        parts.train.extend(places[2 * tenth :])
    return parts


def train(task: str, rows: Sequence[Row], pooled: np.ndarray, labels: list[str]) -> Head:
    """Fits a head to `pooled`, a row for each text, and measures it on texts that took part in no fit."""
    right = np.array([labels.index(row.label) for row in rows])
    parts = split(rows)
    linear = fit(pooled[parts.train], right[parts.train], len(labels))
    logits = apply(linear, pooled)
    temperature = round(fit_temperature(logits[parts.temperature], right[parts.temperature]), 6)
    mine, wanted = logits[parts.held_out], right[parts.held_out]
    metrics = {
        "accuracy": round(accuracy(wanted, mine.argmax(1)), 4),
        "macro_f1": round(macro_f1(wanted, mine.argmax(1)), 4),
        "ece": round(expected_calibration_error(softmax(mine, temperature), wanted), 4),
        "rows": len(wanted),
        "rows_trained_on": len(parts.train),
    }
    return Head(task, labels, linear, temperature, metrics)


def fit(pooled: np.ndarray, right: np.ndarray, labels: int) -> nn.Linear:
    """Softmax regression by L-BFGS, every column scaled alike."""
    mean, scale = pooled.mean(0, dtype=np.float64), pooled.std(0, dtype=np.float64)
    scale[scale < 1e-6] = 1.0
    inputs = torch.from_numpy((pooled - mean) / scale)
    wanted = torch.from_numpy(right)
    weight = torch.zeros(labels, pooled.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(labels, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        found = nn.functional.cross_entropy(inputs @ weight.T + bias, wanted) + DECAY * weight.square().sum()
        found.backward()
        return found

    search.step(loss)
    # The scaling goes into the weights, so the graph needs none.
    linear = nn.Linear(pooled.shape[1], labels)
    with torch.no_grad():
        unscaled = weight / torch.from_numpy(scale)
        linear.weight.copy_(unscaled)
        linear.bias.copy_(bias - unscaled @ torch.from_numpy(mean))
    return linear.requires_grad_(False)


@torch.inference_mode()
def apply(linear: nn.Linear, pooled: np.ndarray) -> np.ndarray:
    """The logits of a head."""
    return linear(torch.from_numpy(pooled)).numpy()
