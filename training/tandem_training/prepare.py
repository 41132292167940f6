"""Step 1: splits the corpora into train, calibration and held-out files, and the test fixture.

    python -m tandem_training.prepare --nsmc ratings_train.txt --stars naver-stars.tsv --out data

Writes train.tsv, calibration.tsv and held_out.tsv (`id, label, text`) and stars.tsv (`id, stars, text`) into the output
folder, and what `tandem train` makes the fast model of (`negative, positive, weight, text`): fast.tsv from train and
stars, fast_calibration.tsv from calibration. NSMC is in the public repository e9t/nsmc (CC0 1.0).

In fast.tsv the target of a star review is the share of positives that its stars stand for, so that the neutral reviews
teach too, and some star reviews count for less than a row of NSMC.
"""

import argparse
import random
from pathlib import Path

from . import SEED
from .data import (
    drop_texts,
    read_nsmc,
    read_stars,
    split_calibration,
    split_nsmc,
    write_labelled,
)

FIXTURE_ROWS = 2_000
# For 1 to 10 stars. NSMC calls 1-4 negative and 9-10 positive; what 5 to 8 stand for is
# what a model trained on NSMC alone makes of them, a little sharpened.
STAR_TARGETS = (0, 0, 0, 0, 0.2, 0.38, 0.58, 0.78, 0.95, 1)
# Positives are far more frequent among the star reviews than in NSMC, so they count for less.
STAR_WEIGHTS = (1, 1, 1, 1, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nsmc", type=Path, required=True, help="NSMC's ratings_train.txt, plain or .xz")
    parser.add_argument("--stars", type=Path, help="the star reviews, plain or .xz (optional)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the prepared files")
    parser.add_argument("--fixture", type=Path, help="also write 2,000 seeded held-out rows to this file")
    arguments = parser.parse_args()

    arguments.out.mkdir(parents=True, exist_ok=True)
    train, held_out = split_nsmc(read_nsmc(arguments.nsmc))
    train, calibration = split_calibration(train)
    for name, rows in (("train", train), ("calibration", calibration), ("held_out", held_out)):
        write_labelled(arguments.out / f"{name}.tsv", rows)
        print(f"{name}: {len(rows)} rows, {sum(row.label for row in rows)} positive")

    stars = []
    if arguments.stars:
        stars = drop_texts(read_stars(arguments.stars), held_out + calibration)
        with open(arguments.out / "stars.tsv", "w", encoding="utf-8", newline="") as file:
            file.write("id\tstars\ttext\n")
            file.writelines(f"{row.id}\t{row.stars}\t{row.text}\n" for row in stars)
        print(f"stars: {len(stars)} rows")

    fast = [(row.label, 1, row.text) for row in train]
    fast += [(STAR_TARGETS[row.stars - 1], STAR_WEIGHTS[row.stars - 1], row.text) for row in stars]
    write_targets(arguments.out / "fast.tsv", fast)
    write_targets(arguments.out / "fast_calibration.tsv", [(row.label, 1, row.text) for row in calibration])
    print(f"fast: {len(fast)} rows")

    if arguments.fixture:
        picked = sorted(random.Random(SEED).sample(range(len(held_out)), FIXTURE_ROWS))
        write_labelled(arguments.fixture, [held_out[index] for index in picked])
        print(f"fixture: {FIXTURE_ROWS} rows")


def write_targets(path: Path, rows: list[tuple[float, float, str]]) -> None:
    """Writes the share of positives, the weight and the text of each row, in the columns that `tandem train` reads."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write("negative\tpositive\tweight\ttext\n")
        file.writelines(f"{1 - target:.2f}\t{target:.2f}\t{weight}\t{text}\n" for target, weight, text in rows)


if __name__ == "__main__":
    main()
