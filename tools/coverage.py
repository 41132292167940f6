#!/usr/bin/env python3
"""Sums up what `cargo llvm-cov --json --summary-only` found: the share of lines that a test runs, by folder, and the ten files with
the most lines that none does: tools/coverage.py target/coverage.json
"""

import collections
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main(file):
    """Prints both tables."""
    files = json.loads(pathlib.Path(file).read_text(encoding="utf-8"))["data"][0]["files"]
    folders, found = collections.Counter(), []
    for one in files:
        name = pathlib.Path(one["filename"])
        parts = name.parts[name.parts.index("src") :] if "src" in name.parts else name.parts
        lines = one["summary"]["lines"]
        missed = lines["count"] - lines["covered"]
        found.append((missed, lines["count"], "/".join(parts)))
        for folder in ["all", "/".join(parts[:2]) + ("/" if len(parts) > 2 else "")]:
            folders[folder, "count"] += lines["count"]
            folders[folder, "missed"] += missed
    for folder in sorted({folder for folder, _ in folders}):
        count, missed = folders[folder, "count"], folders[folder, "missed"]
        print(f"{folder:<24} {100 * (1 - missed / max(count, 1)):5.1f}% of {count:6} lines")
    print("\nlines that no test runs, most first")
    for missed, count, name in sorted(found, reverse=True)[:10]:
        print(f"{missed:5} of {count:5}  {name}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
