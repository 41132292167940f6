"""Step 2: trains the fast model on the prepared files and writes its weights.

    python -m tandem_training.fast_train --data work --out work/fast.npz

A linear model over hashed 1-4-grams in 2^22 buckets. A star review counts for less than a
row of NSMC, and its target is the share of positives that its stars stand for, so that the
neutral reviews teach too. Positives dominate the stars: the bias is corrected on
calibration.tsv. The weights are then rounded to sixteen levels.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from .data import read_labelled, read_prepared_stars
from .fast_quantise import quantise
from .fast_sgd import Settings, State, train
from .fast_weights import FastWeights
from .features import NGrams

# For 1 to 10 stars. NSMC calls 1-4 negative and 9-10 positive; what 5 to 8 stand for is
# what a model trained on NSMC alone makes of them, a little sharpened.
STAR_TARGETS = np.array([0, 0, 0, 0, 0.2, 0.38, 0.58, 0.78, 0.95, 1])
STAR_WEIGHTS = np.array([1, 1, 1, 1, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3])


def main() -> None:
    arguments = parse()
    train_rows = read_labelled(arguments.data / "train.tsv")
    stars_path = arguments.data / "stars.tsv"
    stars = read_prepared_stars(stars_path) if stars_path.exists() else []
    given = np.array([row.stars for row in stars], dtype=int)
    targets = np.append([row.label for row in train_rows], STAR_TARGETS[given - 1]).astype(np.float32)
    weights = np.append(np.ones(len(train_rows)), STAR_WEIGHTS[given - 1]).astype(np.float32)
    print(f"{len(train_rows)} rows of NSMC, {len(stars)} star reviews")

    ngrams = NGrams(max_n=arguments.max_n, buckets=1 << arguments.bits)
    rows = ngrams.encode_all([row.text for row in [*train_rows, *stars]])
    settings = Settings(arguments.epochs, arguments.learning_rate, arguments.l2, arguments.dropout, arguments.seed)
    state, checkpoint = State(ngrams.buckets), arguments.out.with_suffix(".checkpoint.npz")
    if checkpoint.exists() and not arguments.restart:
        state.load(checkpoint, settings)
        print(f"going on from {checkpoint}, epoch {state.epoch} done")
    train(rows, targets, weights, settings, state, checkpoint)

    averaged, bias = state.averaged()
    met = np.bincount(rows.ids, minlength=ngrams.buckets)
    model = FastWeights(ngrams, *quantise(averaged, met), bias)
    calibration = read_labelled(arguments.data / "calibration.tsv")
    labels = np.array([row.label for row in calibration])
    scores = model.scores(ngrams.encode_all([row.text for row in calibration]))
    shift = bias_shift(scores, labels)
    model.bias += shift
    model.save(arguments.out)
    checkpoint.unlink(missing_ok=True)
    right = ((scores + shift > 0) == labels).mean()
    print(f"{arguments.out}: bias moved by {shift:+.3f}; {right:.4f} right on calibration.tsv")


def bias_shift(scores: np.ndarray, labels: np.ndarray) -> float:
    """What to add to the log-odds so that they suit a balanced set, at any temperature."""
    signs = 2 * labels - 1

    def loss(parameters: np.ndarray) -> float:
        return np.logaddexp(0, -signs * np.exp(parameters[0]) * (scores + parameters[1])).mean()

    return float(minimize(loss, [0.0, 0.0], method="Nelder-Mead").x[1])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that prepare wrote")
    parser.add_argument("--out", type=Path, required=True, help="the weights to write (.npz)")
    parser.add_argument("--max-n", type=int, default=4, help="longest n-gram, in code points")
    parser.add_argument("--bits", type=int, default=22, help="2^bits buckets")
    parser.add_argument("--epochs", type=int, default=Settings.epochs)
    parser.add_argument("--learning-rate", type=float, default=Settings.learning_rate)
    parser.add_argument("--l2", type=float, default=Settings.l2)
    parser.add_argument("--dropout", type=float, default=Settings.dropout, help="share of n-grams left out of a row")
    parser.add_argument("--seed", type=int, default=Settings.seed)
    parser.add_argument("--restart", action="store_true", help="ignore the checkpoint of an earlier run")
    return parser.parse_args()


if __name__ == "__main__":
    main()
