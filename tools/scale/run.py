#!/usr/bin/env python3
"""Computes the tables of docs/scale.md and docs/scale-callers.md by simulation, and writes them into the pages after their marks.

    tools/scale/run.py [--check] [--seed NUMBER] [--price PRICE] [--p99 MS] [--only TABLE] [--print]

Python's standard library alone. What texts cost is measured: tools/autoscale/measured.json has the runs of the models by size,
measured.json here has calls of many texts, memory and real runs to compare with. The same seed gives the same tables. --check writes
nothing and fails where a page has other tables; --print shows them in place of writing. --price: of one core for one hour, in
whatever money. --p99: what interactive calls may take, in ms, from the server's side.
"""

import argparse
import difflib
import os
import re
import sys

import tables
from model import Model

HERE = os.path.dirname(os.path.abspath(__file__))
DOCS = os.path.normpath(f"{HERE}/../../docs")
PAGES = ("scale.md", "scale-callers.md")
PLACE = re.compile(r"(<!-- table: ([a-z]+) -->\n\n)((?:\|.*\n)*\n?)")


def written(head, rows):
    line = lambda cells: "| " + " | ".join(str(cell) for cell in cells) + " |"
    aligned = ["---" if name.startswith("*") else "---:" for name in head]
    return "\n".join([line(name.lstrip("*") for name in head), line(aligned), *map(line, rows)])


def filled(page, model, only):
    """The page with its tables computed anew."""
    def place(match):
        name = match[2]
        return match[0] if only and name != only else match[1] + written(*tables.TABLES[name](model)) + "\n\n"

    return PLACE.sub(place, page)


def pages():
    """The pages' texts. Together they have each table once."""
    texts = {}
    for name in PAGES:
        with open(f"{DOCS}/{name}", encoding="utf-8") as file:
            texts[name] = file.read()
    found = sorted(mark for text in texts.values() for _, mark, _ in PLACE.findall(text))
    if found != sorted(tables.TABLES):
        raise SystemExit(f"the pages have the tables {', '.join(found)}; computed are {', '.join(sorted(tables.TABLES))}")
    return texts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--print", action="store_true", dest="show")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--price", type=float, default=0.0425)
    parser.add_argument("--p99", type=float, default=50)
    parser.add_argument("--only", choices=tables.TABLES)
    options = parser.parse_args()
    model = Model.read(options.seed, options.price, options.p99 / 1000)
    if options.show:
        for name in [options.only] if options.only else tables.TABLES:
            print(f"{name}\n\n{written(*tables.TABLES[name](model))}\n", flush=True)
        return
    differ = False
    for name, page in pages().items():
        after = filled(page, model, options.only)
        if not options.check:
            with open(f"{DOCS}/{name}", "w", encoding="utf-8") as file:
                file.write(after)
        elif after != page:
            differ = True
            sys.stdout.writelines(difflib.unified_diff(page.splitlines(True), after.splitlines(True), f"docs/{name}", "computed"))
    if differ:
        raise SystemExit("the pages have other tables than are computed: tools/scale/run.py writes them anew")
    if options.check:
        print(f"ok -- docs/{', docs/'.join(PAGES)}: {len(tables.TABLES)} tables as computed")


if __name__ == "__main__":
    main()
