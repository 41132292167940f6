"""What training computes of 10,000 reviews with the deep model, for `parity --expected`.

    python -m tandem_training.deep_parity --weights work/deep.pt --wide work/wide.npz --tokenizer work/tokenizer.json \\
        --model models/sentiment-deep/1 --reviews work/held_out.tsv --out work/deep-parity.jsonl

The ids come from the tokenizer as training uses it, the logits from the float32 weights in
PyTorch. The same weights exported as a float32 graph are run too: their probabilities must be
within 1e-4, so that whatever the shipped model differs by more is its eight bits.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from tokenizers import Tokenizer

from . import SEED
from .calibration import softmax
from .data import read_labelled
from .deep_data import NONE, Encoded, encode
from .deep_export import Parent, first_rows
from .golden_file import records, write_jsonl
from .model import Encoding, Model

FLOAT_TOLERANCE = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, nargs="+", required=True, help="the weights that were exported")
    parser.add_argument("--wide", type=Path, help="wide.npz, if the weights were trained on top of one")
    parser.add_argument("--wide-scale", type=float, default=1.1, help="as in training (default 1.1)")
    parser.add_argument("--tokenizer", type=Path, required=True, help="the tokenizer of training")
    parser.add_argument("--model", type=Path, required=True, help="the exported folder")
    parser.add_argument("--reviews", type=Path, required=True, help="reviews to sample from")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--out", type=Path, required=True, help="the JSON Lines file to write")
    arguments = parser.parse_args()

    parent, model = Parent(arguments), Model(arguments.model)
    reviews = read_labelled(arguments.reviews)
    texts = [review.text for review in random.Random(SEED).sample(reviews, min(arguments.rows, len(reviews)))]
    data = encoded(arguments.tokenizer, texts, parent.deep[0].config.positions)
    logits = parent.all_logits(data)
    shipped = model.encode(texts)  # says which texts are cut; the ids written are those of training
    rows = [data.ids[start:end].tolist() for start, end in zip(data.starts, data.starts[1:])]
    encodings = [Encoding(row, found.truncated) for row, found in zip(rows, shipped, strict=True)]
    write_jsonl(arguments.out, records(texts, encodings, logits, model.temperature))

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float32.onnx"
        onnx.save(parent.graph("float32", first_rows(data, 1)), path)
        found = Model(arguments.model, str(path)).logits(texts, progress=True)
    chances, wanted = (softmax(part, model.temperature) for part in (found, logits))
    worst = float(np.abs(chances - wanted).max())
    print(f"{len(texts)} reviews, float32 graph against PyTorch, largest differences:")
    print(f"  logits {np.abs(found - logits).max():.2e}, probabilities {worst:.2e} (allowed {FLOAT_TOLERANCE:.0e})")
    sys.exit(worst > FLOAT_TOLERANCE)


def encoded(tokenizer: Path, texts: list[str], longest: int) -> Encoded:
    """The ids of texts as training makes them."""
    ids, starts = encode(Tokenizer.from_file(str(tokenizer)), texts, longest)
    unknown = np.full(len(texts), NONE)
    return Encoded(ids, starts, unknown, unknown, np.zeros(len(texts), np.float32))


if __name__ == "__main__":
    main()
