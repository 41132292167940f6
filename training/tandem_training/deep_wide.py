"""The wide part of the deep model: a linear model over character 1- to 4-grams.

It reads the same piece ids: each piece spells its characters, which are put in a row again,
so that n-grams span pieces. Transformers of this size miss what spelling alone tells, and a
linear model knows it; the two together beat either. `WideModel` is the PyTorch form.
"""

import numpy as np
import torch
from torch import Tensor, nn

from .deep_data import Encoded

WIDTH = 8  # characters of a piece that count; longer pieces are rare
LARGEST = 4  # characters of the longest n-gram
NOTHING, BOUNDARY, UNKNOWN = 0, 1, 2
# Factors of the hash: one a place in the n-gram, and one for its length. A character's
# number has 12 bits, so that no sum leaves 63 bits.
FACTORS = (716_213_339_213, 402_653_189_057, 939_524_129_611, 258_280_327_841)
LENGTHS = (0, 517_340_981_003, 123_456_789_133, 887_654_321_777)


def spelling(pieces: list[str]) -> np.ndarray:
    """The characters of each piece as numbers, [pieces, WIDTH]; a word begins with a boundary."""
    alphabet: dict[str, int] = {}
    table = np.zeros((len(pieces), WIDTH), dtype=np.int16)
    for row, piece in enumerate(pieces):
        if piece == "[UNK]":
            table[row, :2] = BOUNDARY, UNKNOWN
        elif piece == "[SEP]":
            table[row, 0] = BOUNDARY
        elif piece not in ("[PAD]", "[CLS]", "[MASK]"):
            plain = piece.removeprefix("##")
            numbers = [alphabet.setdefault(character, UNKNOWN + 1 + len(alphabet)) for character in plain]
            starts = not piece.startswith("##") and plain[0].isalnum()
            numbers = ([BOUNDARY] if starts else []) + numbers
            table[row, : min(WIDTH, len(numbers))] = numbers[:WIDTH]
    if UNKNOWN + len(alphabet) >= 1 << 12:
        raise ValueError("more characters than 12 bits hold")
    return table


def grams(data: Encoded, table: np.ndarray, buckets: int) -> tuple[np.ndarray, np.ndarray]:
    """The bucket of every n-gram of every review in a row, and where each review starts."""
    letters = table[data.ids].astype(np.int64)
    row = np.repeat(np.arange(len(data.label)), data.lengths)
    row = np.repeat(row, (letters > 0).sum(1))
    letters = letters[letters > 0]
    codes, rows = [], []
    total = np.zeros(len(letters), dtype=np.int64)
    for size in range(LARGEST):
        inside = np.zeros(len(letters), dtype=bool)
        inside[: len(letters) - size] = row[size:] == row[: len(letters) - size]
        total[: len(letters) - size] += letters[size:] * FACTORS[size]
        codes.append(((total[inside] + LENGTHS[size]) % buckets).astype(np.int32))
        rows.append(row[inside].astype(np.int32))
    order = np.argsort(np.concatenate(rows), kind="stable")
    counts = np.bincount(np.concatenate(rows), minlength=len(data.label))
    return np.concatenate(codes)[order], np.concatenate([[0], np.cumsum(counts)])


def pack(weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Signed square roots in eight bits, fine where most weights are, and the step of their squares."""
    largest = np.abs(weights).max()
    small = np.round(np.sign(weights) * np.sqrt(np.abs(weights) / largest) * 127).astype(np.int8)
    return small, float(np.float32(largest / 127**2))


def unpack(small: np.ndarray, step: float) -> np.ndarray:
    """The weights as the model computes with them."""
    return small.astype(np.float32) * np.abs(small.astype(np.float32)) * np.float32(step)


def scores(weights: np.ndarray, starts: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The log odds of every review from what `grams` gives."""
    sums = np.concatenate([[0.0], np.cumsum(weights[ids], dtype=np.float64)])
    return (sums[starts[1:]] - sums[starts[:-1]]) / np.sqrt(np.maximum(np.diff(starts), 1))


def with_offset(data: Encoded, path, scale: float, outside: bool) -> Encoded:
    """The data with the wide part's log odds; `outside` takes those of the folds, for the data it was trained on."""
    with np.load(path) as kept:
        if outside:
            found = kept["offsets"]
            if len(found) != len(data.label):
                raise ValueError(f"{path}: made for other reviews")
        else:
            weights = unpack(kept["weights"], float(kept["step"]))
            ids, starts = grams(data, kept["table"], len(weights))
            found = scores(weights, starts, ids)
        return data._replace(offset=(scale * (found - kept["border"])).astype(np.float32))


class WideModel(nn.Module):
    """Piece ids to one logit, the log odds of positive."""

    def __init__(self, table: np.ndarray, weights: np.ndarray, step: float, border: float, scale: float):
        super().__init__()
        self.step, self.border, self.scale = step, border, scale
        self.register_buffer("table", torch.from_numpy(table))
        self.register_buffer("weights", torch.from_numpy(weights))

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            ids = ids * mask  # [PAD] has the number 0 and no characters
        letters = self.table[ids].long().flatten(1)
        batch, length = letters.shape
        # Close the gaps: every character goes to its place in the row, the empty ones behind the end.
        place = torch.where(letters > 0, (letters > 0).long().cumsum(1) - 1, length + LARGEST - 1)
        row = torch.zeros(batch, length + LARGEST, dtype=torch.int64).scatter(1, place, letters)
        code = torch.zeros(batch, length, dtype=torch.int64)
        total, count = torch.zeros(batch), torch.zeros(batch)
        for size in range(LARGEST):
            part = row[:, size : length + size]
            code = code + part * FACTORS[size]
            inside = (part > 0).float()
            found = self.weights[(code + LENGTHS[size]) % len(self.weights)].float()
            total = total + (found * found.abs() * inside).sum(1) * self.step
            count = count + inside.sum(1)
        return (total / count.clamp(min=1.0).sqrt() - self.border) * self.scale
