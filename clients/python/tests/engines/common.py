"""What the tests of engines share. tools/bulk/check.sh runs them, and installs the engines: too large for every run."""

import importlib.util
import json
import re
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import BOTH, BOUND_S, FAST, ROOT, program, scratch, shared

__all__ = ["BOUND_S", "GOOD", "GONE", "OWN", "TOO_LONG", "example", "needs", "predicted", "reviews", "shared"]

GOOD = "정말 재미있게 봤어요"
TOO_LONG = "비밀" * 10_000
#: The flags of a program of one's own.
OWN = [program(), *map(str, FAST)]
#: Where no server is.
GONE = "127.0.0.1:1"


def needs(engine):
    """Skips the tests of an engine that is not installed, and says so."""
    missing = f"{engine} is not installed: tools/bulk/check.sh installs it"
    return unittest.skipUnless(importlib.util.find_spec(engine), missing)


def reviews(count):
    """Texts by their ids."""
    lines = (ROOT / "tests/data/reviews.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return [(key, text) for key, _, text in (line.split("\t") for line in lines[:count])]


def predicted(rows):
    """The label of each by `tandem predict`, by its id."""
    path = scratch() / "predicted.txt"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for _, text in rows))
    command = [
        program(),
        "predict",
        *BOTH,
        "--route",
        "fast",
        "--input-format",
        "jsonl",
        "--format",
        "jsonl",
        "--file",
        path,
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, check=True)
    labels = [json.loads(line)["label"] for line in done.stdout.splitlines()]
    return {key: label for (key, _), label in zip(rows, labels)}


def example(name):
    """The code that docs/bulk.md gives for an engine, for the server of the tests."""
    page = (ROOT / "docs/bulk.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {name}\n.*?^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return found[1].replace('"dns:///tandem:50051"', repr(shared().address))
