"""Draws the reliability plots of the model cards, and lists what a model gets wrong.

    python -m tandem_training.card --model models/sentiment-fast/1 --reviews work/held_out.tsv \\
        --plot models/sentiment-fast-reliability.png

A bar is the accuracy of the reviews in that bin of confidence; on the diagonal, the
probabilities mean what they say. The most confident mistakes are printed for the card.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402 (the backend has to be chosen first)

from .calibration import BINS, expected_calibration_error, reliability, softmax  # noqa: E402
from .data import read_labelled  # noqa: E402
from .model import Model  # noqa: E402


def draw(path: Path, title: str, probabilities: np.ndarray, labels: np.ndarray) -> None:
    """Writes the plot: accuracy over confidence, and the share of reviews in each bin."""
    found = reliability(probabilities, labels)
    centres = [(part.low + part.high) / 2 for part in found]
    error = expected_calibration_error(probabilities, labels)
    figure, (upper, lower) = pyplot.subplots(
        2, 1, figsize=(5, 5.5), sharex=True, height_ratios=[3, 1], layout="constrained"
    )
    upper.plot([0.45, 1], [0.45, 1], color="0.6", linestyle="--", linewidth=1)
    upper.bar(centres, [part.accuracy for part in found], width=0.9 / BINS, color="#4477aa")
    upper.plot([part.confidence for part in found], [part.accuracy for part in found], "o", color="#222222", markersize=4)
    upper.set(xlim=(0.45, 1), ylim=(0.45, 1), ylabel="accuracy")
    upper.set_title(f"{title}: calibration error {error:.4f}, {len(labels):,} reviews", fontsize=10)
    lower.bar(centres, [part.rows / len(labels) for part in found], width=0.9 / BINS, color="#bbbbbb")
    lower.set(xlabel="confidence", ylabel="share of reviews")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a model folder")
    parser.add_argument("--reviews", type=Path, required=True, help="reviews that took no part in any fit")
    parser.add_argument("--plot", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--mistakes", type=int, default=10, help="how many confident mistakes to print")
    arguments = parser.parse_args()

    model = Model(arguments.model)
    reviews = read_labelled(arguments.reviews)
    labels = np.array([review.label for review in reviews])
    logits = model.logits([review.text for review in reviews], progress=True)
    probabilities = softmax(logits, model.temperature)
    draw(arguments.plot, model.manifest["name"], probabilities, labels)

    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    for row in wrong[np.argsort(-confidence[wrong])][: arguments.mistakes]:
        print(f"{model.labels[predicted[row]]} {confidence[row]:.3f}: {reviews[row].text}")


if __name__ == "__main__":
    main()
