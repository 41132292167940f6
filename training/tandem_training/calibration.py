"""Turns logits into probabilities that mean what they say: temperature and calibration error.

`fit_temperature` minimises the cross-entropy of softmax(logits / temperature). The expected
calibration error takes the confidence (the largest probability) in 15 bins of equal width.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

BINS = 15


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities of each row, in float64."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    powers = np.exp(scaled)
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature between 0.05 and 20 with the least cross-entropy on these rows."""
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        right = softmax(logits, np.exp(log_temperature))[rows, labels]
        return -np.log(np.maximum(right, 1e-12)).mean()

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


@dataclass(frozen=True)
class Bin:
    """One bin of the reliability plot."""

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> list[Bin]:
    """Mean confidence and accuracy in each bin that holds rows."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    found = []
    for index in range(bins):
        inside = which == index
        if inside.any():
            found.append(
                Bin(
                    index / bins,
                    (index + 1) / bins,
                    int(inside.sum()),
                    float(confidence[inside].mean()),
                    float(right[inside].mean()),
                )
            )
    return found


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> float:
    """The gap between confidence and accuracy, averaged over the rows."""
    found = reliability(probabilities, labels, bins)
    total = sum(part.rows for part in found)
    return sum(part.rows * abs(part.confidence - part.accuracy) for part in found) / total
