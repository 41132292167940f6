"""The figures that `tandem train` is held against: scikit-learn's and fastText's linear models, tuned.

    python3 -m tandem_training.baselines train.csv --test test.csv --label category
    python3 -m tandem_training.baselines labelled.tsv --text comments --label hate --folds 5

With `--test`, everything is chosen by cross-validation on the first file, and the second one
is looked at once. With `--folds`, the figures are means over the folds, and everything is
chosen anew inside each fold. Texts that are equal after folding case and spaces share a fold.
Runs on one core; the same seed gives the same figures. Needs scikit-learn and fasttext-wheel.
"""

import argparse
import csv
import itertools
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import FeatureUnion
from sklearn.svm import LinearSVC

from .text import fold

INNER_FOLDS = 3
STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
SVC_STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0)
FASTTEXT = {
    "lr": (0.1, 0.25, 0.5, 1.0),
    "epoch": (10, 25, 50, 100),
    "wordNgrams": (1, 2, 3),
    "chars": ((0, 0), (2, 4), (2, 5), (3, 6)),
    "dim": (50, 100),
    "loss": ("softmax", "ova"),
}
BUCKETS = 200_000

Data = tuple[list[str], np.ndarray]
Measure = Callable[[np.ndarray, np.ndarray], float]
Choice = dict[str, object]


def read(path: Path, text: str, label: str) -> tuple[list[str], list[str]]:
    """Reads two columns of a CSV file, or of a TSV file without quoting."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix == ".tsv":
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        else:
            rows = list(csv.DictReader(file))
    return [row[text] for row in rows], [row[label] for row in rows]


def macro_f1(truth: np.ndarray, found: np.ndarray) -> float:
    """The mean of the classes' F1; a class that is never right counts as 0."""
    return float(f1_score(truth, found, average="macro", zero_division=0))


def splits(texts: Sequence[str], labels: np.ndarray, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Stratified folds; equal texts are in one of them."""
    groups = [fold(text) for text in texts]
    maker = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return list(maker.split(texts, labels, groups))


def take(data: Data, places: np.ndarray) -> Data:
    """The rows at these places."""
    texts, labels = data
    return [texts[place] for place in places], labels[places]


def features(sublinear: bool) -> FeatureUnion:
    """TF-IDF of 1 to 2 words, and of 2 to 5 characters within words."""
    return FeatureUnion([
        ("words", TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=sublinear, dtype=np.float32)),
        ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=sublinear, dtype=np.float32)),
    ])


def vectors(sublinear: bool, known: Sequence[str], others: Sequence[str]) -> tuple[csr_matrix, csr_matrix]:
    """The features of texts; the vocabulary is that of the first ones."""
    union = features(sublinear)
    return union.fit_transform(known), union.transform(others)


def logistic(strengths: Sequence[float], weights: str | None, known: csr_matrix, labels: np.ndarray, others: csr_matrix):
    """Predictions for each C of a logistic regression."""
    for strength in strengths:
        model = LogisticRegression(C=strength, max_iter=1000, tol=1e-5, class_weight=weights)
        yield model.fit(known, labels).predict(others)


def svc(strengths: Sequence[float], weights: str | None, known: csr_matrix, labels: np.ndarray, others: csr_matrix):
    """Predictions for each C of a linear support vector machine."""
    for strength in strengths:
        model = LinearSVC(C=strength, class_weight=weights, random_state=0)
        yield model.fit(known, labels).predict(others)


def sklearn_baseline(predictor, strengths: Sequence[float], weighted: Sequence[str | None]):
    """A baseline of scikit-learn's: C, sublinear TF and class weights by cross-validation."""

    def run(train: Data, test: Data, measure: Measure, seed: int) -> tuple[np.ndarray, Choice, float]:
        texts, labels = train
        found: dict[tuple[bool, str | None, float], list[float]] = {}
        for inner, held_out in splits(texts, labels, INNER_FOLDS, seed):
            (inner_texts, inner_labels), (held_texts, held_labels) = take(train, inner), take(train, held_out)
            for sublinear in (False, True):
                known, others = vectors(sublinear, inner_texts, held_texts)
                for weights in weighted:
                    guesses = predictor(strengths, weights, known, inner_labels, others)
                    for strength, guess in zip(strengths, guesses):
                        found.setdefault((sublinear, weights, strength), []).append(measure(held_labels, guess))
        means = {key: float(np.mean(values)) for key, values in found.items()}
        sublinear, weights, strength = max(means, key=means.get)
        known, others = vectors(sublinear, texts, test[0])
        (guess,) = predictor([strength], weights, known, labels, others)
        choice = {"C": strength, "sublinear_tf": sublinear, "class_weight": weights, "features": known.shape[1]}
        return guess, choice, means[sublinear, weights, strength]

    return run


def spaced(text: str) -> str:
    """A text as fastText wants it: folded, punctuation apart from words, on one line."""
    return " ".join("".join(one if one.isalnum() or one.isspace() else f" {one} " for one in fold(text)).split())


def fasttext_predict(settings: Choice, train: Data, texts: Sequence[str], seed: int) -> np.ndarray:
    """Trains fastText and predicts, on one thread."""
    import fasttext

    fasttext.FastText.eprint = lambda *_: None
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.writelines(f"__label__{label} {spaced(text)}\n" for text, label in zip(*train))
        file.flush()
        plain = {name: value for name, value in settings.items() if name != "chars"}
        minn, maxn = settings["chars"]
        model = fasttext.train_supervised(
            file.name, minn=minn, maxn=maxn, bucket=BUCKETS, thread=1, seed=seed, verbose=0, **plain
        )
    # The wrapper's own `predict` fails with NumPy 2.
    guesses = [model.f.predict(f"{spaced(text)}\n", 1, 0.0, "strict") for text in texts]
    most = np.bincount(train[1]).argmax()
    return np.array([int(guess[0][1].removeprefix("__label__")) if guess else most for guess in guesses])


def fasttext_baseline(tries: int, folds: int):
    """fastText with settings drawn from a grid, chosen on the first `folds` of the inner folds."""

    def run(train: Data, test: Data, measure: Measure, seed: int) -> tuple[np.ndarray, Choice, float]:
        grid = [dict(zip(FASTTEXT, values)) for values in itertools.product(*FASTTEXT.values())]
        inner = splits(*train, INNER_FOLDS, seed)[:folds]
        best: tuple[float, Choice] = (-1.0, {})
        for settings in random.Random(seed).sample(grid, tries):
            figures = []
            for known, held_out in inner:
                texts, labels = take(train, held_out)
                figures.append(measure(labels, fasttext_predict(settings, take(train, known), texts, seed)))
            best = max(best, (float(np.mean(figures)), settings), key=lambda one: one[0])
        return fasttext_predict(best[1], train, test[0], seed), best[1], best[0]

    return run


def main() -> None:
    """Runs the baselines and prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--text", default="text")
    parser.add_argument("--label", default="label")
    parser.add_argument("--choose-by", choices=("accuracy", "macro-f1"), default="macro-f1")
    parser.add_argument("--class-weights", action="store_true", help="also try balanced class weights")
    parser.add_argument("--only", nargs="+", default=["logistic", "svc", "fasttext"])
    parser.add_argument("--tries", type=int, default=40, help="how many settings of fastText are tried")
    parser.add_argument("--fasttext-folds", type=int, default=INNER_FOLDS, help="inner folds that each of them is tried on")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    texts, names = read(arguments.file, arguments.text, arguments.label)
    classes = sorted(set(names))
    index = {name: place for place, name in enumerate(classes)}
    data = texts, np.array([index[name] for name in names])
    if arguments.test:
        test_texts, test_names = read(arguments.test, arguments.text, arguments.label)
        parts = [(data, (test_texts, np.array([index[name] for name in test_names])))]
    else:
        outer = splits(*data, arguments.folds, arguments.seed)
        parts = [(take(data, known), take(data, held_out)) for known, held_out in outer]

    measure: Measure = macro_f1 if arguments.choose_by == "macro-f1" else lambda a, b: float(accuracy_score(a, b))
    weighted = [None, "balanced"] if arguments.class_weights else [None]
    baselines = {
        "logistic": sklearn_baseline(logistic, STRENGTHS, weighted),
        "svc": sklearn_baseline(svc, SVC_STRENGTHS, weighted),
        "fasttext": fasttext_baseline(arguments.tries, arguments.fasttext_folds),
    }
    print(f"{arguments.file.name}: {len(texts)} rows, {len(classes)} classes, seed {arguments.seed}", flush=True)
    for name in arguments.only:
        begun, figures = time.monotonic(), []
        for number, (train, test) in enumerate(parts):
            guess, choice, inner = baselines[name](train, test, measure, arguments.seed)
            figures.append((float(accuracy_score(test[1], guess)), macro_f1(test[1], guess)))
            print(
                f"  {name} part {number + 1}: accuracy {figures[-1][0]:.4f}, macro-F1 {figures[-1][1]:.4f}; "
                f"chosen {choice}, {arguments.choose_by} by cross-validation {inner:.4f}",
                flush=True,
            )
        accuracy, f1 = np.mean(figures, axis=0)
        spread = np.std(figures, axis=0)[1]
        print(
            f"{name}: accuracy {accuracy:.4f}, macro-F1 {f1:.4f} (spread {spread:.4f} over {len(parts)}), "
            f"{time.monotonic() - begun:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
