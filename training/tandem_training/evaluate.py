"""Last step: accuracy, macro-F1, calibration and confusion of a shipped model, with intervals.

    python -m tandem_training.evaluate --model models/sentiment-fast/1 --reviews ratings_test.txt
    python -m tandem_training.evaluate --model models/sentiment-fast/1 --other models/sentiment-deep/1 \\
        --reviews held_out.tsv

Runs the ONNX file that ships, through ONNX Runtime. `--other` adds the paired bootstrap of
the difference in accuracy, other minus model, over the same reviews.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from . import SEED
from .calibration import expected_calibration_error, softmax
from .data import read_labelled
from .model import Model

RESAMPLES = 2_000


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


def bootstrap(statistic: Callable[[np.ndarray], float], rows: int, resamples: int = RESAMPLES) -> tuple[float, float]:
    """The 95% interval of a statistic of row numbers, over seeded resamples of the rows."""
    random = np.random.default_rng(SEED)
    values = [statistic(random.integers(0, rows, rows)) for _ in range(resamples)]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def paired_bootstrap(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """The accuracy of `second` minus that of `first`, with its 95% interval."""
    gain = (second == labels).astype(float) - (first == labels).astype(float)
    return float(gain.mean()), *bootstrap(lambda rows: gain[rows].mean(), len(labels))


def report(labels: np.ndarray, probabilities: np.ndarray) -> dict:
    """Every figure with its interval."""
    predicted = probabilities.argmax(axis=1)
    found: dict = {"rows": len(labels)}
    for name, measure in (("accuracy", accuracy), ("macro_f1", macro_f1)):
        low, high = bootstrap(lambda rows: measure(labels[rows], predicted[rows]), len(labels))
        found[name] = {"value": measure(labels, predicted), "low": low, "high": high}
    low, high = bootstrap(lambda rows: expected_calibration_error(probabilities[rows], labels[rows]), len(labels), 500)
    found["ece"] = {"value": expected_calibration_error(probabilities, labels), "low": low, "high": high}
    found["confusion"] = confusion(labels, predicted).tolist()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a model folder")
    parser.add_argument("--reviews", type=Path, required=True, help="ratings_test.txt, or a slice written by prepare")
    parser.add_argument("--other", type=Path, help="a second model folder to compare with")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()

    reviews = read_labelled(arguments.reviews)
    labels = np.array([review.label for review in reviews])
    texts = [review.text for review in reviews]
    figures, predicted = {}, []
    for folder in filter(None, (arguments.model, arguments.other)):
        model = Model(folder)
        logits = model.logits(texts, arguments.batch_size, progress=True)
        probabilities = softmax(logits, model.temperature)
        predicted.append(probabilities.argmax(axis=1))
        name = f"{model.manifest['name']}/{model.manifest['version']}"
        figures[name] = report(labels, probabilities)
        show(name, model.labels, figures[name])
    if arguments.other:
        gain, low, high = paired_bootstrap(labels, *predicted)
        figures["other_minus_model"] = {"value": gain, "low": low, "high": high}
        print(f"accuracy, other minus model: {gain:+.4f} (95% {low:+.4f} to {high:+.4f}, paired bootstrap)")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def show(name: str, names: list[str], figures: dict) -> None:
    """Prints the figures of one model."""
    print(f"{name} on {figures['rows']} reviews (95% bootstrap intervals)")
    for key in ("accuracy", "macro_f1", "ece"):
        part = figures[key]
        print(f"  {key:<9} {part['value']:.4f}  ({part['low']:.4f} to {part['high']:.4f})")
    print("  confusion (rows: truth, columns: prediction)")
    width = max(map(len, names)) + 2
    print("  " + " " * width + "".join(f"{label:>{width}}" for label in names))
    for label, row in zip(names, figures["confusion"]):
        print(f"  {label:<{width}}" + "".join(f"{count:>{width}}" for count in row))


if __name__ == "__main__":
    main()
