"""Reads the two corpora and makes the seeded split; nothing here knows of any model.

NSMC (public repository e9t/nsmc, CC0 1.0) has `id, document, label` with CSV quoting; the
star reviews have `review_id, movie_id, date, rating, review` without. Both may be .xz.

    train, held_out = split_nsmc(read_nsmc(path))       # 130,000 and 20,000 rows
    train, calibration = split_calibration(train)       # 120,000 and 10,000 rows
    stars = drop_texts(read_stars(path), held_out + calibration)

`held_out` takes part in no fit at all: report on it. `calibration` is for temperature and
bias. Every row whose folded text equals one of a held-out slice is dropped from `train`.
"""

import csv
import lzma
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO, TypeVar

from . import SEED
from .text import fold

HELD_OUT_ROWS = 20_000
CALIBRATION_ROWS = 10_000


class Review(NamedTuple):
    """A review with its class: 0 negative, 1 positive."""

    id: str
    text: str
    label: int


class StarReview(NamedTuple):
    """A review with its stars, 1 to 10: 1-4 is negative, 9-10 positive, 5-8 neither."""

    id: str
    text: str
    stars: int


Row = TypeVar("Row", Review, StarReview)


def open_text(path: str | Path) -> TextIO:
    """Opens a UTF-8 text file, unpacking .xz on the way, with line ends left as they are."""
    opener = lzma.open if str(path).endswith(".xz") else open
    return opener(path, "rt", encoding="utf-8", newline="")


def read_nsmc(path: str | Path) -> list[Review]:
    """Reads NSMC's own format, such as ratings_train.txt and ratings_test.txt."""
    with open_text(path) as file:
        rows = csv.reader(file, delimiter="\t")
        _expect(path, next(rows, []), ["id", "document", "label"])
        return [Review(number, text, int(label)) for number, text, label in rows]


def read_stars(path: str | Path) -> list[StarReview]:
    """Reads the star reviews."""
    with open_text(path) as file:
        lines = (line.rstrip("\n").split("\t") for line in file)
        _expect(path, next(lines, []), ["review_id", "movie_id", "date", "rating", "review"])
        return [StarReview(row[0], row[4], int(row[3])) for row in lines]


def read_labelled(path: str | Path) -> list[Review]:
    """Reads NSMC's format or our own slices (`id, label, text`, no quoting), by the header."""
    with open_text(path) as file:
        header = file.readline().rstrip("\r\n").split("\t")
    if header == ["id", "document", "label"]:
        return read_nsmc(path)
    _expect(path, header, ["id", "label", "text"])
    with open_text(path) as file:
        lines = [line.rstrip("\n").split("\t") for line in file][1:]
    return [Review(number, text, int(label)) for number, label, text in lines]


def read_prepared_stars(path: str | Path) -> list[StarReview]:
    """Reads the `id, stars, text` file that `prepare` writes."""
    with open_text(path) as file:
        lines = (line.rstrip("\n").split("\t") for line in file)
        _expect(path, next(lines, []), ["id", "stars", "text"])
        return [StarReview(number, text, int(stars)) for number, stars, text in lines]


def write_labelled(path: str | Path, rows: Iterable[Review]) -> None:
    """Writes `id, label, text` lines; NSMC has no tab or line end inside a text."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write("id\tlabel\ttext\n")
        for row in rows:
            if any(character in row.text for character in "\t\r\n"):
                raise ValueError(f"review {row.id} holds a tab or a line end")
            file.write(f"{row.id}\t{row.label}\t{row.text}\n")


def split_nsmc(rows: Sequence[Review]) -> tuple[list[Review], list[Review]]:
    """The training rows and the 20,000 held-out rows, the same for every order of `rows`."""
    return _split(rows, HELD_OUT_ROWS, SEED)


def split_calibration(train: Sequence[Review]) -> tuple[list[Review], list[Review]]:
    """Splits 10,000 rows for calibration off the training rows that `split_nsmc` gives."""
    return _split(train, CALIBRATION_ROWS, SEED + 1)


def drop_texts(rows: Iterable[Row], held_out: Iterable[Review]) -> list[Row]:
    """The rows whose folded text is none of the held-out ones."""
    seen = {fold(row.text) for row in held_out}
    return [row for row in rows if fold(row.text) not in seen]


def _split(rows: Sequence[Review], size: int, seed: int) -> tuple[list[Review], list[Review]]:
    ordered = sorted(rows, key=lambda row: int(row.id))
    chosen = set(random.Random(seed).sample(range(len(ordered)), size))
    held_out = [ordered[index] for index in sorted(chosen)]
    rest = [row for index, row in enumerate(ordered) if index not in chosen]
    return drop_texts(rest, held_out), held_out


def _expect(path: str | Path, header: list[str], wanted: list[str]) -> None:
    if header != wanted:
        raise ValueError(f"{path}: expected the columns {wanted}, found {header}")
