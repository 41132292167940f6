"""Splits pieces at random, anew in each pass, so that no long piece can be learnt by heart.

A review has one segmentation in WordPiece; in training some of its pieces are replaced by
two shorter ones that spell the same (what BPE-dropout does for BPE). Rare long pieces then
share what they know with their parts, which narrows the gap to unseen reviews.
"""

import numpy as np

from .deep_data import Encoded

CHOICES = 4
PREFIX = "##"


class Splitter:
    """The ways to split each piece in two, as a table."""

    def __init__(self, pieces: list[str], seed: int):
        number = {piece: index for index, piece in enumerate(pieces)}
        random = np.random.default_rng(seed)
        self.halves = np.zeros((len(pieces), CHOICES, 2), dtype=np.uint16)
        self.possible = np.zeros(len(pieces), dtype=bool)
        for index, piece in enumerate(pieces):
            start = len(PREFIX) if piece.startswith(PREFIX) else 0
            if piece.startswith("["):
                continue
            pairs = [
                (number.get(piece[:cut]), number.get(PREFIX + piece[cut:])) for cut in range(start + 1, len(piece))
            ]
            pairs = [pair for pair in pairs if None not in pair]
            if pairs:
                self.possible[index] = True
                self.halves[index] = [pairs[pick] for pick in random.integers(0, len(pairs), CHOICES)]

    def split(self, data: Encoded, rate: float, longest: int, random: np.random.Generator) -> Encoded:
        """Splits a share `rate` of the pieces that can be split; texts that would be too long stay whole."""
        chosen = (random.random(len(data.ids), dtype=np.float32) < rate) & self.possible[data.ids]
        row = np.repeat(np.arange(len(data.label)), data.lengths)
        more = np.bincount(row[chosen], minlength=len(data.label))
        more[data.lengths + more > longest] = 0
        chosen &= more[row] > 0
        where = np.arange(len(data.ids)) + np.cumsum(chosen) - chosen
        halves = self.halves[data.ids[chosen], random.integers(0, CHOICES, int(chosen.sum()))]
        ids = np.empty(len(data.ids) + int(chosen.sum()), dtype=data.ids.dtype)
        ids[where] = data.ids
        ids[where[chosen]] = halves[:, 0]
        ids[where[chosen] + 1] = halves[:, 1]
        return data._replace(ids=ids, starts=np.concatenate([[0], np.cumsum(data.lengths + more)]))
