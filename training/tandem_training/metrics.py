"""Figures of the deep model's exports: accuracy, macro-F1, confusion. `tandem evaluate` gives more, with intervals."""

import numpy as np


def accuracy(labels: np.ndarray, predicted: np.ndarray) -> float:
    return float((labels == predicted).mean())


def macro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """The mean over the classes of the F1 score."""
    scores = []
    for label in np.unique(labels):
        both = ((labels == label) & (predicted == label)).sum()
        scores.append(2 * both / ((labels == label).sum() + (predicted == label).sum()))
    return float(np.mean(scores))


def confusion(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Rows are the truth, columns the prediction."""
    size = int(max(labels.max(), predicted.max())) + 1
    return np.bincount(labels * size + predicted, minlength=size * size).reshape(size, size)
