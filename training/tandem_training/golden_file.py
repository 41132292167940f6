"""The form of a golden file: one JSON object a line, with a text's ids, logits and probabilities.

Reads and writes it; what the examples are is for `golden_examples` and the exports.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from .calibration import softmax


class Encoded(Protocol):
    """What is written of an encoding; `model.Encoding` is one."""

    ids: list[int]
    truncated: bool


def records(
    texts: Sequence[str], encodings: Sequence[Encoded], logits: np.ndarray, temperature: float
) -> Iterable[dict]:
    """One record a text, in the form of a golden file."""
    for text, encoding, row, chances in zip(texts, encodings, logits, softmax(logits, temperature), strict=True):
        yield {
            "text": text,
            "ids": encoding.ids,
            "truncated": encoding.truncated,
            "logits": [round(float(value), 6) for value in row],
            "probabilities": [round(float(value), 6) for value in chances],
        }


def write_jsonl(path: Path, rows: Iterable[dict]) -> None:
    """One JSON object a line, UTF-8."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def read_jsonl(path: Path) -> list[dict]:
    """Reads such a file; only a line feed ends a line, whatever else a text may hold."""
    with open(path, encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]
