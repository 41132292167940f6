"""Turns the prepared reviews into piece ids once, and deals them out in batches of one length.

A batch whose texts have the same number of pieces needs no padding and no mask, which on a
processor saves a third of the work. A step takes several such batches of different lengths.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer
from tqdm import tqdm

NONE = -1  # no label, or no stars, known
CHUNK = 20_000


class Encoded(NamedTuple):
    """Reviews as one long array of ids; `starts[i]:starts[i + 1]` is review i."""

    ids: np.ndarray
    starts: np.ndarray
    label: np.ndarray  # 0 negative, 1 positive, NONE
    stars: np.ndarray  # 1 to 10, NONE
    offset: np.ndarray  # log odds of positive that the wide part gives, 0 without one

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.starts)


def encode(tokenizer: Tokenizer, texts: list[str], max_tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """All ids in a row and where each text starts, cut to `max_tokens` with both special ones."""
    tokenizer.enable_truncation(max_tokens)
    rows: list[np.ndarray] = []
    for start in tqdm(range(0, len(texts), CHUNK), desc="tokenizing", unit="chunk", disable=len(texts) < CHUNK):
        batch = tokenizer.encode_batch_fast(texts[start : start + CHUNK])
        rows.extend(np.array(row.ids, dtype=np.uint16) for row in batch)
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    return np.concatenate(rows), starts


def read_rows(path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Texts, labels and stars of a prepared file, `id, label, text` or `id, stars, text`."""
    with open(path, encoding="utf-8", newline="") as file:
        kind = file.readline().rstrip("\n").split("\t")[1]
        rows = [line.rstrip("\n").split("\t", 2) for line in file]
    values = np.array([int(row[1]) for row in rows], dtype=np.int64)
    texts = [row[2] for row in rows]
    if kind == "label":
        return texts, values, np.full_like(values, NONE)
    label = np.where(values <= 4, 0, np.where(values >= 9, 1, NONE))
    return texts, label, values


def load(tokenizer_path: Path, paths: list[Path], max_tokens: int, cache: Path | None = None) -> Encoded:
    """Encodes the files one after the other; `cache` (.npz) keeps the result for the next start."""
    if cache and cache.exists():
        with np.load(cache) as kept:
            parts = [kept[name] for name in ("ids", "starts", "label", "stars")]
            return Encoded(*parts, np.zeros(len(kept["label"]), np.float32))
    parts = [read_rows(path) for path in paths]
    texts = [text for part in parts for text in part[0]]
    ids, starts = encode(Tokenizer.from_file(str(tokenizer_path)), texts, max_tokens)
    label = np.concatenate([part[1] for part in parts])
    stars = np.concatenate([part[2] for part in parts])
    if cache:
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, ids=ids, starts=starts, label=label, stars=stars)
    return Encoded(ids, starts, label, stars, np.zeros(len(label), np.float32))


def gather(data: Encoded, rows: np.ndarray) -> np.ndarray:
    """The ids of reviews of one length as a matrix."""
    length = int(data.starts[rows[0] + 1] - data.starts[rows[0]])
    return data.ids[data.starts[rows][:, None] + np.arange(length)].astype(np.int64)


def batches(data: Encoded, tokens: int, random: np.random.Generator) -> list[np.ndarray]:
    """One pass over the data in random order: row numbers, each batch of one length."""
    order = random.permutation(len(data.label))
    order = order[np.argsort(data.lengths[order], kind="stable")]
    lengths = data.lengths[order]
    cuts = np.flatnonzero(np.diff(lengths)) + 1
    result = []
    for group in np.split(order, cuts):
        size = max(1, tokens // int(data.lengths[group[0]]))
        # Spread the remainder, so that no batch of a group is tiny.
        result.extend(np.array_split(group, max(1, round(len(group) / size))))
    return [result[index] for index in random.permutation(len(result))]


def in_order(data: Encoded, tokens: int) -> Iterator[np.ndarray]:
    """The same without randomness, for evaluation."""
    order = np.argsort(data.lengths, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(data.lengths[order])) + 1):
        size = max(1, tokens // int(data.lengths[group[0]]))
        yield from np.array_split(group, -(-len(group) // size))
