#!/usr/bin/env python3
"""The scoreboard: attacks, floods, broken models, starts and ends of the real program. Each row prints its figure beside what passes.

    tools/scoreboard/rows.py [--short] [--table] [--verbose] [--program PROGRAM] [ROW ...]

Without a ROW, all. The server is the release build unless told otherwise; most rows serve the fast model alone. --short is the
form that the tests run: small counts, no waiting for time limits. --table prints rows of a Markdown table. Figures of time say
little on a busy machine. Exits 1 if a row misses its mark or breaks off; the rows after it run all the same. A row whose
program is not here says so, and misses nothing. The short form judges what happened and how often, but no times or sizes.

Most rows need no more than Python's standard library; some use grpcio (tools/test-tools.sh installs it), openssl, or faketime.
"""

import argparse
import os
import resource
import sys
import traceback

import balancers
import by_load
import connections
import doors
import floods
import inputs
import lifecycle
import logs
import models
import peers
import streams
import texts
from marks import judged
from server import ROOT

ROWS = {row.__name__: row for part in (connections, doors, floods, inputs, texts, models, streams, lifecycle, logs, peers, balancers, by_load) for row in part.ROWS}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--program", default=f"{os.environ.get('CARGO_TARGET_DIR', ROOT + '/target')}/release/tandem")
    parser.add_argument("rows", nargs="*", metavar="ROW", choices=[[], *ROWS], help=", ".join(ROWS))
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    missed = {name: marks for name in options.rows or ROWS if (marks := run(options, name))}
    for name, marks in missed.items():
        print(f"MISSED {name}: {'; '.join(marks)}", file=sys.stderr)
    return 1 if missed else 0


def run(options, name):
    """Prints what a row found; the marks that it missed."""
    try:
        found = ROWS[name](options)
    except (Exception, SystemExit) as error:
        if options.verbose:
            traceback.print_exc()
        told = f"{type(error).__name__}: {error}"[:500].replace("\n", " ")
        found = judged(options, f"broke off, {told}", [("it ended", False)])
    missed = getattr(found, "missed", ())
    told = found + (f" **MISSED: {'; '.join(missed)}**" if missed else "")
    if options.table:
        print(f"| `{name}` | {ROWS[name].__doc__} | {told} |", flush=True)
    else:
        print(f"{name}: {told}\n    {ROWS[name].__doc__}", flush=True)
    return missed


if __name__ == "__main__":
    sys.exit(main())
