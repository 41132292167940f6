"""Hashed n-grams of code points and words, written a second time: from a text to its sorted, distinct bucket ids.

`tandem train` and the server share one preprocessing, in Rust. This is the definition in other words, which it is held to:
the tests of both read tests/data/ngrams.jsonl.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .text import fold

_FNV_OFFSET, _FNV_PRIME, _MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF
_WORD_OFFSET = 0x9747B28C
# What stands between words: ASCII signs, and the blocks that hold punctuation.
_SEPARATORS = re.compile(
    "[\x00-/:-@[-`{-\x7f\x80-\xbf\u2000-\u206f\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]"
)


@dataclass(frozen=True)
class NGrams:
    """The parameters of the manifest's `kind = "hashed_ngrams"`."""

    min_n: int = 1
    max_n: int = 4
    buckets: int = 1 << 20
    max_code_points: int = 256
    max_words: int = 0

    @classmethod
    def of(cls, settings: dict) -> "NGrams":
        """Those of a manifest's `[preprocess]`."""
        names = ("min_n", "max_n", "buckets", "max_code_points")
        return cls(**{name: settings[name] for name in names}, max_words=settings.get("max_words", 0))

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
