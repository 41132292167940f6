"""Writes golden examples for a model of somebody else's, from the library that it was trained with.

    python -m tandem_training.golden_examples FOLDER --transformers MODEL
    python -m tandem_training.golden_examples FOLDER --scikit-learn pipeline.joblib

FOLDER is the exported model with its manifest.toml (`tandem check FOLDER --write-manifest` writes one). MODEL is what
was exported: a folder, or a name on the Hugging Face hub. The command asks the library itself, not the export, writes
golden.jsonl, and names it in the manifest. From then on the server checks at every start that the export answers as
the library does, and calls the model verified.

A pipeline is read by joblib, and joblib runs whatever code the file holds: name only files that you trust.
"""

import argparse
import hashlib
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from .golden_file import write_jsonl
from .golden_settings import Settings
from .golden_texts import TRICKY
from .manifest import NAME, read_manifest

FILE = "golden.jsonl"
# What `tandem check --write-manifest` says of its own examples, which these take the place of.
OWN = re.compile(r"\A# Written by `tandem check --write-manifest`[^\n]*\n(# [^\n]*\n)*")


def texts_of(files: Sequence[Path]) -> list[str]:
    """The texts of the files, one a line, or those of `golden_texts` if no file is given; no text twice."""
    lines = (line for path in files for line in path.read_text(encoding="utf-8").split("\n"))
    texts = [line for line in lines if line.strip()] if files else TRICKY
    return list(dict.fromkeys(texts))


def name_in_manifest(folder: Path, source: str, tolerance: float) -> None:
    """Writes `[golden]` and the checksum of the examples into the manifest; what else was written stays as it is."""
    path = folder / NAME
    checksum = hashlib.sha256((folder / FILE).read_bytes()).hexdigest()
    golden = {
        "file": f'"{FILE}"',
        "source": f'"{source}"',
        "logit_tolerance": f"{tolerance}",
        "batched_logit_tolerance": f"{tolerance}",
    }
    old = read_manifest(folder).get("golden", {}).get("file", FILE)
    text = OWN.sub("", path.read_text(encoding="utf-8"))
    text = _without_table(text, "golden")
    text = _set_key(text, "files", FILE, f'"{checksum}"', remove=old)
    table = "\n".join(["[golden]", *(f"{key} = {value}" for key, value in golden.items())])
    text = f"{text.rstrip()}\n\n{table}\n"
    tomllib.loads(text)  # what we leave behind can be read
    unfinished = folder / f".{NAME}.new"
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def _table(text: str, name: str) -> tuple[int, int] | None:
    """Where a table begins and ends, its header included."""
    header = re.search(rf"^\[{name}\][^\n]*\n?", text, re.MULTILINE)
    if header is None:
        return None
    following = re.compile(r"^\[", re.MULTILINE).search(text, header.end())
    return header.start(), following.start() if following else len(text)


def _without_table(text: str, name: str) -> str:
    place = _table(text, name)
    return text if place is None else text[: place[0]] + text[place[1] :]


def _set_key(text: str, table: str, key: str, value: str, remove: str) -> str:
    """Sets a key of a table, and drops the key `remove` from it."""
    place = _table(text, table)
    if place is None:
        return f'{text.rstrip()}\n\n[{table}]\n"{key}" = {value}\n'
    start, end = place
    gone = [f"^\"?{re.escape(name)}\"? *=" for name in (key, remove)]
    lines = [line for line in text[start:end].rstrip().split("\n") if not any(re.match(name, line) for name in gone)]
    lines.append(f'"{key}" = {value}')
    return text[:start] + "\n".join(lines) + "\n" + ("\n" + text[end:] if text[end:] else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the exported model, with its manifest.toml")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--transformers", metavar="MODEL", help="the model that was exported: a folder, or a name on the hub")
    source.add_argument("--scikit-learn", type=Path, metavar="FILE", help="the fitted pipeline, as joblib wrote it (runs its code)")
    parser.add_argument("--texts", type=Path, nargs="+", default=[], help="texts of your own, one a line (default: texts that preprocessing is likely to get wrong)")
    parser.add_argument("--tolerance", type=float, help="how far an answer may be off (default: a logit by 0.001, a probability by 0.0001)")
    parser.add_argument("--leave-out-differing", action="store_true", help="scikit-learn: drop the texts that the export answers otherwise, instead of stopping")
    arguments = parser.parse_args()

    if not (arguments.folder / NAME).is_file():
        sys.exit(f"{arguments.folder / NAME}: not there; write it with: tandem check {arguments.folder} --write-manifest")
    settings = Settings.of(read_manifest(arguments.folder))
    texts = texts_of(arguments.texts)
    try:
        if arguments.transformers:
            from .golden_transformers import examples

            name, tolerance = "transformers", arguments.tolerance or 1e-3
            rows = examples(arguments.transformers, settings, texts)
        else:
            from .golden_scikit_learn import examples

            name, tolerance = "scikit-learn", arguments.tolerance or 1e-4
            graph = arguments.folder / settings.onnx["file"]
            rows = examples(arguments.scikit_learn, graph, settings, texts, tolerance, arguments.leave_out_differing)
    except ImportError as error:
        sys.exit(f"{error}: install what the model was trained with (pip install transformers torch, or scikit-learn joblib onnxruntime)")
    except ValueError as error:
        sys.exit(f"{arguments.folder}: {error}")
    write_jsonl(arguments.folder / FILE, rows)
    name_in_manifest(arguments.folder, name, tolerance)
    print(f"{arguments.folder / FILE}: {len(rows)} examples from {name}; next: tandem check {arguments.folder}")


if __name__ == "__main__":
    main()
