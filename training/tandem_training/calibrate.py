"""Sets the temperature of a shipped model and measures what its probabilities are worth.

    python -m tandem_training.calibrate --model models/sentiment-fast/1 \\
        --reviews work/calibration.tsv --report work/held_out.tsv

The temperature is fitted on `--reviews`; the expected calibration error (15 equal-width bins)
is reported on `--report`, reviews that took no part in any fit. The golden probabilities depend
on the temperature: run `golden` afterwards.
"""

import argparse
from pathlib import Path

import numpy as np

from .calibration import expected_calibration_error, fit_temperature, softmax
from .data import read_labelled
from .evaluate import accuracy, macro_f1
from .manifest import read_manifest, seal
from .model import Model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a model folder")
    parser.add_argument("--reviews", type=Path, required=True, help="reviews to fit the temperature on")
    parser.add_argument("--report", type=Path, required=True, help="other reviews, to report on")
    parser.add_argument("--batch-size", type=int, default=32)
    arguments = parser.parse_args()

    model = Model(arguments.model)
    logits, labels = _run(model, arguments.reviews, arguments.batch_size)
    temperature = round(fit_temperature(logits, labels), 6)
    before = expected_calibration_error(softmax(logits), labels)
    print(f"temperature {temperature} from {len(labels)} reviews (error there {before:.4f} without it)")

    logits, labels = _run(model, arguments.report, arguments.batch_size)
    probabilities = softmax(logits, temperature)
    predicted = probabilities.argmax(axis=1)
    error = expected_calibration_error(probabilities, labels)
    print(f"expected calibration error {error:.4f} on {len(labels)} others")

    manifest = read_manifest(arguments.model)
    manifest["calibration"]["temperature"] = temperature
    manifest["metrics"] = {
        **manifest.get("metrics", {}),
        "accuracy": round(accuracy(labels, predicted), 4),
        "macro_f1": round(macro_f1(labels, predicted), 4),
        "ece": round(error, 4),
        "evaluated_on": f"held-out slice of NSMC's training part ({arguments.report.name})",
        "rows": len(labels),
    }
    seal(arguments.model, manifest)


def _run(model: Model, path: Path, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    reviews = read_labelled(path)
    logits = model.logits([review.text for review in reviews], batch_size, progress=True)
    return logits, np.array([review.label for review in reviews])


if __name__ == "__main__":
    main()
