"""Step 0: gathers the star reviews from the raw files of NSMC's public repository.

    git clone https://github.com/e9t/nsmc
    python -m tandem_training.stars --nsmc nsmc --out naver-stars.tsv

`nsmc/raw/*.json` holds the whole crawl, one file a film. Reviews of NSMC's own two parts are
left out, and so is every review whose folded text equals one of the official test part.
"""

import argparse
import json
import re
from pathlib import Path

from tqdm import tqdm

from .data import read_nsmc
from .text import WHITE_SPACE, fold

COLUMNS = ("review_id", "movie_id", "date", "rating", "review")


def gather(nsmc: Path) -> list[dict[str, str]]:
    """The reviews with stars that belong to neither part, by ascending id."""
    test = read_nsmc(nsmc / "ratings_test.txt")
    taken = {row.id for row in [*read_nsmc(nsmc / "ratings_train.txt"), *test]}
    tested = {fold(row.text) for row in test}
    found: dict[str, dict[str, str]] = {}
    for path in tqdm(sorted((nsmc / "raw").glob("*.json")), desc="films"):
        for review in json.loads(path.read_text(encoding="utf-8")):
            if review["review_id"] not in taken and fold(review["review"]) not in tested:
                found[review["review_id"]] = review
    return sorted(found.values(), key=lambda review: int(review["review_id"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nsmc", type=Path, required=True, help="a clone of the public repository e9t/nsmc")
    parser.add_argument("--out", type=Path, required=True, help="the table to write")
    arguments = parser.parse_args()

    reviews = gather(arguments.nsmc)
    with open(arguments.out, "w", encoding="utf-8", newline="") as file:
        file.write("\t".join(COLUMNS) + "\n")
        for review in reviews:
            folded = (re.sub(f"[{WHITE_SPACE}]+", " ", review[column]).strip() for column in COLUMNS)
            file.write("\t".join(folded) + "\n")
    print(f"{arguments.out}: {len(reviews)} reviews")


if __name__ == "__main__":
    main()
