"""Does serving compute what training computed? 10,000 reviews, ids and logits.

    python -m tandem_training.parity --model models/sentiment-fast/1 --reviews work/held_out.tsv --out parity.jsonl \\
        [--server http://127.0.0.1:5000]
    python -m tandem_training.parity --model models/sentiment-deep/1 --expected deep.jsonl

The first form is for a model of `tandem train`: it writes `{text, ids, truncated, logits, probabilities}` lines as numpy
computes them from the weights in the ONNX file; the second takes such a file, of any model (`deep_parity` writes the deep
one's).
Then the ids of the plain definition, the logits of ONNX Runtime, and with `--server` the
probabilities of a running server are compared with it. Fails where ids differ, a logit is
outside the manifest's tolerance, a probability strays further than that tolerance allows (1e-4
at least), or the server's from those computed here by more than 1e-4.
"""

import argparse
import json
import random
import sys
import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from . import SEED
from .calibration import softmax
from .data import read_labelled
from .fast_weights import FastWeights
from .golden_file import read_jsonl, records, write_jsonl
from .model import Encoding, Model

LEAST_TOLERANCE = 1e-4
TEXTS_A_CALL = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a model folder")
    parser.add_argument("--expected", type=Path, help="what training computed, if that is at hand")
    parser.add_argument("--reviews", type=Path, help="reviews to sample from")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--out", type=Path, help="the JSON Lines file to write")
    parser.add_argument("--server", help="also compare with this server's HTTP door")
    arguments = parser.parse_args()
    if not (arguments.expected or (arguments.reviews and arguments.out)):
        parser.error("needs --expected, or --reviews and --out")

    model = Model(arguments.model)
    if not arguments.expected:
        write_jsonl(arguments.out, compute(model, arguments.reviews, arguments.rows))
    expected = read_jsonl(arguments.expected or arguments.out)
    sys.exit(not compare(model, expected, arguments.server))


def compute(model: Model, reviews_path: Path, rows: int) -> Iterable[dict]:
    """What numpy makes of sampled reviews, from the ids of the plain definition."""
    weights, reviews = FastWeights.read(model.folder), read_labelled(reviews_path)
    texts = [review.text for review in random.Random(SEED).sample(reviews, min(rows, len(reviews)))]
    encodings = [Encoding(*weights.ngrams.encode(text)) for text in tqdm(texts, desc="n-grams")]
    logits = np.array([weights.logits(encoding.ids) for encoding in encodings])
    return records(texts, encodings, logits, model.temperature)


def compare(model: Model, expected: list[dict], server: str | None) -> bool:
    """Serves the same texts, prints the largest differences, and says whether all are allowed."""
    texts = [row["text"] for row in expected]
    logits = np.array([row["logits"] for row in expected])
    probabilities = softmax(logits, model.temperature)
    encodings = model.encode(texts)
    different = sum(
        (row["ids"], row["truncated"]) != (list(found.ids), found.truncated)
        for row, found in zip(expected, encodings, strict=True)
    )
    alone = model.logits(texts, batch_size=1, progress=True)
    batched = model.logits(texts, progress=True)
    limits = model.manifest["golden"]
    # With two labels a logit's error e moves a probability by at most e / (2 * temperature).
    allowed = max(LEAST_TOLERANCE, limits["batched_logit_tolerance"] / (2 * model.temperature))
    mine = softmax(alone, model.temperature)
    checks = [
        ("rows whose ids differ", different, 0),
        ("logits alone", _largest(alone, logits), limits["logit_tolerance"]),
        ("logits batched", _largest(batched, logits), limits["batched_logit_tolerance"]),
        ("probabilities alone", _largest(mine, probabilities), allowed),
        ("probabilities batched", _largest(softmax(batched, model.temperature), probabilities), allowed),
    ]
    if server:
        served = ask(server, model, texts)
        # Where a row's result depends on its batch, the server's batches may move it that far.
        steady = LEAST_TOLERANCE if model.manifest["onnx"]["batch_invariant"] else allowed
        checks.append(("probabilities of the server", _largest(served, probabilities), allowed))
        checks.append(("the server against alone", _largest(served, mine), steady))
    flips = (alone.argmax(axis=1) != logits.argmax(axis=1)).mean()
    print(f"{len(texts)} reviews, {flips:.2%} with another label; largest differences, training against serving:")
    for name, found, bound in checks:
        print(f"  {name:<28} {found:.2e} (allowed {bound:.1e}) {'ok' if found <= bound else 'FAILED'}")
    return all(found <= bound for _, found, bound in checks)


def ask(server: str, model: Model, texts: Sequence[str]) -> np.ndarray:
    """The probabilities that a running server gives."""
    found = []
    for start in tqdm(range(0, len(texts), TEXTS_A_CALL), desc=server):
        call = {"texts": texts[start : start + TEXTS_A_CALL], "model": model.manifest["name"], "topK": len(model.labels)}
        request = urllib.request.Request(
            f"{server.rstrip('/')}/v1/predict", json.dumps(call).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            for prediction in json.load(answer)["predictions"]:
                scores = {score["label"]: score["score"] for score in prediction["scores"]}
                found.append([scores[label] for label in model.labels])
    return np.array(found)


def _largest(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first - second).max())


if __name__ == "__main__":
    main()
