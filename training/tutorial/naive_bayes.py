"""The tutorial's own path: scikit-learn, joblib, skl2onnx, and a folder that Tandem serves.

    PYTHONPATH=. python tutorial/naive_bayes.py --data work --joblib work/naive_bayes.joblib \\
        --model models/tutorial-nb/1

Trains TF-IDF over words with naive Bayes, saves it with joblib, loads it back, converts it to
ONNX with the text itself as input, and checks that both give the same answers.

Two defaults of the conversion have to be overridden. The default token pattern is exported as
`[a-zA-Z0-9_]+`, silently, which drops every Korean word. And lower-casing is exported with the
locale en_US.UTF-8, which fails to load on a machine that lacks it; C.UTF-8 is everywhere.
"""

import argparse
import random
from pathlib import Path

import joblib
import numpy as np
import onnx
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline

from tandem_training import SEED
from tandem_training.calibration import softmax
from tandem_training.data import Review, read_labelled
from tandem_training.golden_file import records, write_jsonl
from tandem_training.golden_texts import golden_texts
from tandem_training.manifest import seal, training_table
from tandem_training.model import Model

TOKENS = r"[\pL\pN_][\pL\pN_]+"  # scikit-learn's r"(?u)\b\w\w+\b" in the words of RE2
LOCALE = "C.UTF-8"


def train(rows: list[Review], most_words: int | None) -> Pipeline:
    """The pipeline, trained."""
    pipeline = make_pipeline(TfidfVectorizer(max_features=most_words), MultinomialNB())
    return pipeline.fit([row.text for row in rows], [row.label for row in rows])


def convert(pipeline: Pipeline) -> onnx.ModelProto:
    """The pipeline as a graph: `text` (string [batch, 1]) in, `probabilities` out."""
    options = {
        id(pipeline[0]): {"tokenexp": TOKENS, "locale": LOCALE},
        id(pipeline[-1]): {"zipmap": False},
    }
    return to_onnx(
        pipeline,
        initial_types=[("text", StringTensorType([None, 1]))],
        options=options,
        target_opset={"": 17, "ai.onnx.ml": 3},
    )


def manifest_of(version: str) -> dict:
    return {
        "schema_version": 1,
        "name": "tutorial-nb",
        "version": version,
        "task": "sentiment",
        "tier": "fast",
        "labels": ["negative", "positive"],
        "description": "The tutorial's model: TF-IDF over words and naive Bayes, from scikit-learn.",
        "license": "MIT OR Apache-2.0",
        "stand_in": False,
        "onnx": {
            "file": "model.onnx",
            "input": "text",
            "output": "probabilities",
            "output_kind": "probabilities",
            "batch_invariant": True,
        },
        "preprocess": {"kind": "string", "max_bytes": 8192},
        "calibration": {"temperature": 1.0},
        "golden": {
            "file": "golden.jsonl",
            "source": "scikit-learn",
            "logit_tolerance": 0.0001,
            "batched_logit_tolerance": 0.0001,
        },
        "limits": {"max_batch_size": 32},
        "training": training_table("training/tutorial/naive_bayes.py", "NSMC training part (public repository e9t/nsmc)"),
        "metrics": {},
    }


def logits_of(pipeline: Pipeline, texts: list[str]) -> np.ndarray:
    """scikit-learn's log-probabilities, which stand in for logits."""
    return pipeline.predict_log_proba(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that prepare wrote")
    parser.add_argument("--joblib", type=Path, required=True, help="the scikit-learn pipeline to write and load back")
    parser.add_argument("--model", type=Path, required=True, help="the model folder to write; its name is the version")
    parser.add_argument("--rows", type=int, help="train on so many seeded rows (default: all)")
    parser.add_argument("--most-words", type=int, help="keep so many of the most frequent words (default: all)")
    arguments = parser.parse_args()

    rows = read_labelled(arguments.data / "train.tsv")
    if arguments.rows:
        rows = random.Random(SEED).sample(rows, arguments.rows)
    joblib.dump(train(rows, arguments.most_words), arguments.joblib)
    pipeline = joblib.load(arguments.joblib)

    arguments.model.mkdir(parents=True, exist_ok=True)
    path = arguments.model / "model.onnx"
    onnx.save(convert(pipeline), path)
    manifest = manifest_of(arguments.model.name)
    seal(arguments.model, manifest)
    print(f"{path}: {path.stat().st_size:,} bytes, {len(pipeline[0].vocabulary_):,} words")

    held_out = read_labelled(arguments.data / "held_out.tsv")
    model = Model(arguments.model)
    sample = random.Random(SEED).sample([row.text for row in held_out], 1_000)
    differences = np.abs(softmax(model.logits(sample)) - pipeline.predict_proba(sample))
    agree = (model.logits(sample).argmax(axis=1) == pipeline.predict(sample)).mean()
    print(f"agreement with scikit-learn on 1,000 reviews: {agree:.1%}, probabilities within {differences.max():.1e}")

    labels = np.array([row.label for row in held_out])
    accuracy = (pipeline.predict([row.text for row in held_out]) == labels).mean()
    manifest["metrics"] = {"accuracy": round(float(accuracy), 4), "evaluated_on": "held_out.tsv", "rows": len(labels)}
    print(f"accuracy on {len(labels)} held-out reviews: {accuracy:.4f}")

    texts = golden_texts([row.text for row in held_out])
    encodings = model.encode(texts)
    logits = logits_of(pipeline, [encoding.text for encoding in encodings])
    write_jsonl(arguments.model / "golden.jsonl", records(texts, encodings, logits, 1.0))
    seal(arguments.model, manifest)
    for batch_size in (1, 32):
        difference = np.abs(model.logits(texts, batch_size) - logits).max(axis=1)
        worst = int(difference.argmax())
        print(f"golden logits within {difference[worst]:.1e} (batch {batch_size}), worst: {texts[worst][:40]!r}")


if __name__ == "__main__":
    main()
