"""Sixteen weight levels, so that a bucket takes four bits.

The levels are the centres of a one-dimensional k-means over the weights, each counted as
often as training met its bucket; one level is exactly zero, for padding and for buckets that
training never met.
"""

import numpy as np

LEVELS = 16
_CELLS = 8192
_ROUNDS = 40


def quantise(weights: np.ndarray, met: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The codes (uint8, one a bucket) and the levels (float32, ascending)."""
    importance = met + 0.5
    mass, edges = np.histogram(weights, _CELLS, weights=importance)
    moment, _ = np.histogram(weights, _CELLS, weights=importance * weights)
    centres = (edges[1:] + edges[:-1]) / 2

    share = np.cumsum(mass) / mass.sum()
    quantiles = (np.arange(LEVELS) + 0.5) / LEVELS
    levels = centres[np.searchsorted(share, quantiles)].astype(np.float64)
    levels[np.abs(levels).argmin()] = 0
    for _ in range(_ROUNDS):
        zero = np.abs(levels).argmin()
        nearest = np.abs(centres[:, None] - levels).argmin(axis=1)
        masses = np.bincount(nearest, mass, LEVELS)
        moments = np.bincount(nearest, moment, LEVELS)
        levels = np.where(masses > 0, moments / np.maximum(masses, 1e-9), levels)
        levels[zero] = 0
        levels.sort()
    middles = (levels[1:] + levels[:-1]) / 2
    return np.searchsorted(middles, weights).astype(np.uint8), levels.astype(np.float32)
