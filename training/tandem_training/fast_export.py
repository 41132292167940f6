"""Writes the fast model's folder: model.onnx and a manifest with temperature 1.

    python -m tandem_training.fast_export --weights work/fast.npz --model models/sentiment-fast/1

Next come `calibrate`, which sets the temperature, and `golden`, which writes the examples.
"""

import argparse
from pathlib import Path

import onnx

from .fast_graph import build
from .fast_weights import FastWeights
from .manifest import seal, training_table

COMMAND = "python -m tandem_training.fast_train --data work --out work/fast.npz; then fast_export, calibrate, golden"
DATA = "NSMC training part and star reviews of the same crawl (public repository e9t/nsmc)"


def manifest_of(weights: FastWeights, version: str) -> dict:
    """The manifest, before calibration."""
    ngrams = weights.ngrams
    return {
        "schema_version": 1,
        "name": "sentiment-fast",
        "version": version,
        "task": "sentiment",
        "tier": "fast",
        "labels": ["negative", "positive"],
        "description": "Linear model over hashed character n-grams, four-bit weights, for Korean film reviews.",
        "license": "MIT OR Apache-2.0",
        "stand_in": False,
        "onnx": {"file": "model.onnx", "output": "logits", "batch_invariant": True},
        "preprocess": {
            "kind": "hashed_ngrams",
            "max_code_points": ngrams.max_code_points,
            "min_n": ngrams.min_n,
            "max_n": ngrams.max_n,
            "buckets": ngrams.buckets,
        },
        "calibration": {"temperature": 1.0},
        "golden": {
            "file": "golden.jsonl",
            "source": "numpy",
            "logit_tolerance": 0.0001,
            "batched_logit_tolerance": 0.0001,
        },
        "limits": {"max_batch_size": 32},
        "training": training_table(COMMAND, DATA),
        "metrics": {},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="what fast_train wrote")
    parser.add_argument("--model", type=Path, required=True, help="the model folder to write; its name is the version")
    arguments = parser.parse_args()

    weights = FastWeights.load(arguments.weights)
    arguments.model.mkdir(parents=True, exist_ok=True)
    path = arguments.model / "model.onnx"
    onnx.save(build(weights.codes, weights.levels, weights.bias), path)
    seal(arguments.model, manifest_of(weights, arguments.model.name))
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
