"""Step 1: splits the corpora into train, calibration and held-out files, and the test fixture.

    python -m tandem_training.prepare --nsmc ratings_train.txt --stars naver-stars.tsv --out data

Writes train.tsv, calibration.tsv and held_out.tsv (`id, label, text`) and stars.tsv
(`id, stars, text`) into the output folder. NSMC is in the public repository e9t/nsmc (CC0 1.0).
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

    if arguments.stars:
        stars = drop_texts(read_stars(arguments.stars), held_out + calibration)
        with open(arguments.out / "stars.tsv", "w", encoding="utf-8", newline="") as file:
            file.write("id\tstars\ttext\n")
            file.writelines(f"{row.id}\t{row.stars}\t{row.text}\n" for row in stars)
        print(f"stars: {len(stars)} rows")

    if arguments.fixture:
        picked = sorted(random.Random(SEED).sample(range(len(held_out)), FIXTURE_ROWS))
        write_labelled(arguments.fixture, [held_out[index] for index in picked])
        print(f"fixture: {FIXTURE_ROWS} rows")


if __name__ == "__main__":
    main()
