"""Writes golden.jsonl: texts with the ids, logits and probabilities of the training framework.

The server computes them anew at every start and does not serve a model that differs.

    python -m tandem_training.golden --model models/sentiment-fast/1 --weights work/fast.npz \\
        --reviews work/held_out.tsv
"""

import argparse
from pathlib import Path

import numpy as np

from .data import read_labelled
from .fast_weights import FastWeights
from .golden_file import records, write_jsonl
from .golden_texts import golden_texts
from .manifest import read_manifest, seal
from .model import Encoding, Model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the folder of the exported fast model")
    parser.add_argument("--weights", type=Path, required=True, help="the weights that were exported")
    parser.add_argument("--reviews", type=Path, required=True, help="held-out reviews to sample from")
    arguments = parser.parse_args()

    manifest = read_manifest(arguments.model)
    weights = FastWeights.load(arguments.weights)
    texts = golden_texts([review.text for review in read_labelled(arguments.reviews)])
    encodings = [Encoding(*weights.ngrams.encode(text)) for text in texts]
    logits = np.array([weights.logits(encoding.ids) for encoding in encodings])
    path = arguments.model / manifest["golden"]["file"]
    write_jsonl(path, records(texts, encodings, logits, manifest["calibration"]["temperature"]))
    seal(arguments.model, manifest)

    # What ONNX Runtime makes of the same ids, alone and in one padded batch.
    model = Model(arguments.model)
    alone = np.concatenate([model.run([encoding]) for encoding in encodings])
    together = model.run(encodings)
    print(f"{len(texts)} golden examples; largest difference of a logit from numpy's:")
    print(f"  alone {np.abs(alone - logits).max():.2e}, in one batch {np.abs(together - logits).max():.2e}")


if __name__ == "__main__":
    main()
