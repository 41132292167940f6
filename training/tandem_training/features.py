"""Hashed n-grams of code points and words: from texts to the sorted, distinct bucket ids of each row.

`encode` is the plain definition, one text at a time; `encode_all` does the same for a corpus
with numpy. The server's own preprocessing must give the very same ids: the tests of both
read tests/data/ngrams.jsonl.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from .text import fold

_FNV_OFFSET, _FNV_PRIME, _MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF
_WORD_OFFSET = 0x9747B28C
# What stands between words: ASCII signs, and the blocks that hold punctuation.
_SEPARATORS = re.compile(
    "[\x00-/:-@[-`{-\x7f\x80-\xbf\u2000-\u206f\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]"
)


class Rows(NamedTuple):
    """The ids of many texts in one array: row `i` is `ids[starts[i]:starts[i + 1]]`."""

    ids: np.ndarray  # int32
    starts: np.ndarray  # int64, one more than there are rows


@dataclass(frozen=True)
class NGrams:
    """The parameters of the manifest's `kind = "hashed_ngrams"`."""

    min_n: int = 1
    max_n: int = 4
    buckets: int = 1 << 20
    max_code_points: int = 256
    max_words: int = 0

    def prepared(self, text: str) -> tuple[str, bool]:
        """The folded text between two spaces, and whether it was cut."""
        folded = fold(text)
        return f" {folded[: self.max_code_points]} ", len(folded) > self.max_code_points

    def encode(self, text: str) -> tuple[list[int], bool]:
        """The bucket ids of a text, ascending and distinct, and whether it was cut."""
        prepared, truncated = self.prepared(text)
        points = [ord(character) for character in prepared]
        ids = {
            hash_points(points[start : start + n]) & (self.buckets - 1)
            for n in range(self.min_n, self.max_n + 1)
            for start in range(len(points) - n + 1)
        }
        words = _SEPARATORS.sub(" ", prepared).split(" ")
        words = [[ord(character) for character in word] for word in words if word]
        for start in range(len(words)):
            grams = itertools.accumulate(words[start : start + self.max_words], lambda gram, word: [*gram, 0x20, *word])
            ids |= {hash_points(gram, _WORD_OFFSET) & (self.buckets - 1) for gram in grams}
        return sorted(ids), truncated

    def encode_all(self, texts: Sequence[str], chunk: int = 50_000) -> Rows:
        """The same for a corpus, without words."""
        assert not self.max_words
        starts = range(0, len(texts), chunk)
        parts = [self._encode_chunk(texts[start : start + chunk]) for start in tqdm(starts, desc="n-grams")]
        lengths = np.concatenate([lengths for lengths, _ in parts])
        return Rows(np.concatenate([ids for _, ids in parts]), np.append(0, np.cumsum(lengths)))

    def _encode_chunk(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        prepared = [self.prepared(text)[0] for text in texts]
        points = np.frombuffer("".join(prepared).encode("utf-32-le"), dtype=np.uint32)
        sizes = np.array([len(text) for text in prepared])
        row = np.repeat(np.arange(len(texts), dtype=np.uint64), sizes)
        remaining = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(points))
        keys, hashes = [], np.full(len(points), _FNV_OFFSET, dtype=np.uint32)
        for n in range(1, self.max_n + 1):
            # A gram of n points is the gram of n - 1 points and one more; those that would
            # run over the end of their text are masked out below.
            following = points[n - 1 :]
            hashes = (hashes[: len(following)] ^ following) * np.uint32(_FNV_PRIME)
            if n >= self.min_n:
                whole = remaining[: len(hashes)] >= n
                buckets = _final_mix(hashes[whole]) & np.uint32(self.buckets - 1)
                keys.append(row[: len(hashes)][whole] << np.uint64(32) | buckets)
        ordered = np.concatenate(keys)
        ordered.sort()
        distinct = ordered[np.append(True, ordered[1:] != ordered[:-1])]
        lengths = np.bincount((distinct >> np.uint64(32)).astype(np.int64), minlength=len(texts))
        return lengths, (distinct & np.uint64(_MASK)).astype(np.int32)


def hash_points(points: Sequence[int], offset: int = _FNV_OFFSET) -> int:
    """FNV-1a over whole code points in 32 bits, then murmur3's final mix."""
    value = offset
    for point in points:
        value = ((value ^ point) * _FNV_PRIME) & _MASK
    value ^= value >> 16
    value = (value * 0x85EBCA6B) & _MASK
    value ^= value >> 13
    value = (value * 0xC2B2AE35) & _MASK
    return value ^ (value >> 16)


def _final_mix(value: np.ndarray) -> np.ndarray:
    value = value ^ (value >> np.uint32(16))
    value = value * np.uint32(0x85EBCA6B)
    value = value ^ (value >> np.uint32(13))
    value = value * np.uint32(0xC2B2AE35)
    return value ^ (value >> np.uint32(16))
