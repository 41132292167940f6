"""Trains the wide part: logistic regression over hashed n-grams by adaptive gradient descent.

    python -m tandem_training.deep_wide_train --train data/train.tsv --stars data/stars.tsv \\
        --calibration data/calibration.tsv --tokenizer tokenizer.json --out wide.npz

Star reviews count less than labelled ones, and those of 5 to 8 stars aim in between. Takes
four minutes on one core.
"""

import argparse
import json
from pathlib import Path

import numba
import numpy as np
from tqdm import tqdm

from . import SEED
from .deep_data import NONE, Encoded, load
from .deep_wide import grams, pack, scores, spelling, unpack

TARGET = np.array([0, 0, 0, 0, 0.2, 0.4, 0.58, 0.78, 0.95, 1])  # by stars, from 1
WEIGHT = np.array([1, 1, 1, 1, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3])
PARTS = 8  # the rate falls so many times in a pass


@numba.njit(fastmath=True)
def descend(order, starts, ids, targets, importance, rate, shrink, drop, weights, squares, bias):
    """One stretch of reviews, one after the other; `bias` is the bias and its sum of squares."""
    loss = 0.0
    for row in order:
        first, last = starts[row], starts[row + 1]
        if first == last:
            continue
        scale = 1.0 / np.sqrt(last - first)
        kept = np.random.random(last - first) >= drop
        total = 0.0
        for at in range(first, last):
            if kept[at - first]:
                total += weights[ids[at]]
        z = total * scale / (1 - drop) + bias[0]
        chance = 1 / (1 + np.exp(-z))
        slope = importance[row] * (chance - targets[row])
        loss += importance[row] * (max(z, 0) - targets[row] * z + np.log1p(np.exp(-abs(z))))
        for at in range(first, last):
            if kept[at - first]:
                bucket = ids[at]
                step = slope * scale / (1 - drop) + shrink * weights[bucket]
                squares[bucket] += step * step
                weights[bucket] -= rate * step / np.sqrt(squares[bucket])
        bias[1] += slope * slope
        bias[0] -= rate * slope / np.sqrt(bias[1])
    return loss / len(order)


@numba.njit
def seed_draws(seed):
    """Seeds the draws inside the compiled functions, which numpy's own seed does not reach."""
    np.random.seed(seed)


def targets_of(data: Encoded) -> tuple[np.ndarray, np.ndarray]:
    """What to aim at and how much each review counts."""
    starred = data.stars != NONE
    stars = np.where(starred, data.stars, 1) - 1
    return np.where(starred, TARGET[stars], data.label), np.where(starred, WEIGHT[stars], 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="train.tsv of the prepare step")
    parser.add_argument("--stars", type=Path, required=True, help="stars.tsv of the prepare step")
    parser.add_argument("--calibration", type=Path, required=True, help="calibration.tsv, to show the progress")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json of deep_tokenizer")
    parser.add_argument("--out", type=Path, required=True, help="the .npz to write")
    parser.add_argument("--cache", type=Path, help="train.npz of a deep_train run, to save the tokenizing")
    parser.add_argument("--buckets", type=int, default=4_194_301, help="a prime (default 4194301)")
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--folds", type=int, default=4, help="parts for what it says of unseen reviews")
    parser.add_argument("--rate", type=float, default=0.5)
    parser.add_argument("--shrink", type=float, default=2e-4)
    parser.add_argument("--drop", type=float, default=0.2, help="part of the n-grams left out at random")
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()

    numbers = json.loads(arguments.tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
    table = spelling(sorted(numbers, key=numbers.get))
    data = load(arguments.tokenizer, [arguments.train, arguments.stars], arguments.max_tokens, arguments.cache)
    check = load(arguments.tokenizer, [arguments.calibration], arguments.max_tokens)
    ids, starts = grams(data, table, arguments.buckets)
    check_ids, check_starts = grams(check, table, arguments.buckets)
    targets, importance = targets_of(data)

    # What a model says of reviews that it was not trained on: the deep part is trained on top of that.
    fold = np.random.default_rng(arguments.seed).integers(0, arguments.folds, len(targets))
    offsets = np.zeros(len(targets), dtype=np.float32)
    for number in range(arguments.folds):
        weights = fit(arguments, ids, starts, targets, importance, np.flatnonzero(fold != number), f"fold {number}")
        outside = scores(weights, starts, ids)
        offsets[fold == number] = outside[fold == number]
    labelled = data.stars == NONE
    print(f"accuracy outside the folds {share(offsets[labelled], data.label[labelled]):.4f} on the labelled reviews")
    weights = fit(arguments, ids, starts, targets, importance, np.arange(len(targets)), "all")
    small, step = pack(weights)
    weights = unpack(small, step)
    check_scores = scores(weights, check_starts, check_ids)
    print(f"accuracy {share(check_scores, check.label):.4f} on the calibration slice")
    # A fair border lies where it halves the balanced calibration slice.
    border = np.float32(np.median(check_scores))
    np.savez(arguments.out, table=table, weights=small, step=step, border=border, offsets=offsets)


def fit(arguments: argparse.Namespace, ids, starts, targets, importance, rows: np.ndarray, name: str) -> np.ndarray:
    """The weights, averaged over the second half of the passes."""
    random = np.random.default_rng(arguments.seed)
    seed_draws(arguments.seed)
    weights, squares = np.zeros(arguments.buckets, np.float32), np.full(arguments.buckets, 0.01, np.float32)
    mean, taken, bias = np.zeros(arguments.buckets, np.float32), 0, np.array([0.0, 1.0])
    bar = tqdm(total=arguments.passes * PARTS, desc=name, unit="part")
    for turn in range(arguments.passes):
        for part, order in enumerate(np.array_split(random.permutation(rows), PARTS)):
            rate = arguments.rate * (1 - (turn + part / PARTS) / arguments.passes)
            loss = descend(
                order, starts, ids, targets, importance, rate, arguments.shrink, arguments.drop, weights, squares, bias
            )  # fmt: skip
            bar.update()
            bar.set_postfix(loss=f"{loss:.4f}")
            if turn >= arguments.passes // 2:
                mean, taken = mean + weights, taken + 1
    return mean / taken


def share(found: np.ndarray, label: np.ndarray) -> float:
    """The accuracy, with the border in the middle of a balanced set."""
    return float(((found > np.median(found)) == label).mean())


if __name__ == "__main__":
    main()
