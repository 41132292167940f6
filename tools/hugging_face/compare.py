"""Compares a running server with transformers on many texts, family by family.

    cargo build --release
    venv/bin/python tools/hugging_face/compare.py [--texts 1000] [--binary target/release/tandem] [FAMILY …]

Builds a model a family (larger than the fixtures of the tests, weights random), exports it, starts the server on the bare
folder, sends the texts over the gateway in batches of 32, and asks that labels are identical and probabilities within 1e-4.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import families
from make_fixtures import ROOT, export, reviews

SIZE = families.Size(vocabulary=4000, hidden=128, layers=4, positions=128)
TOLERANCE = 1e-4
BATCH = 32


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """The server on one folder, until the block ends."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.port, grpc = free_port(), free_port()
        addresses = ["--http-addr", f"127.0.0.1:{self.port}", "--grpc-addr", f"127.0.0.1:{grpc}"]
        self.process = subprocess.Popen([binary, "serve", "--deep", folder, *addresses], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)

    def __enter__(self) -> Server:
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5).read()
                return self
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        self.process.kill()
        raise SystemExit(self.process.communicate()[1].decode()[-2000:])

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate(timeout=30)

    def predict(self, texts: list[str], pairs: list[str]) -> list[dict]:
        body = json.dumps({"texts": texts, "textPairs": pairs, "topK": 1000}).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/predict", body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["predictions"]


def compare(family: families.Family, binary: Path, count: int) -> bool:
    corpus = reviews(1500) + ["The film was good, the story was not.", "A fine day to watch a bad film!"] * 50
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, family.name)
        tokenizer, model = export(family, corpus, SIZE, folder)
        texts = families.some_texts(corpus, count, seed=11)
        pairs = families.some_texts(corpus, count, seed=13)[::-1] if family.pairs else []
        found = []
        with Server(binary, folder) as server:
            for at in range(0, count, BATCH):
                found += server.predict(texts[at : at + BATCH], pairs[at : at + BATCH])
    expected = [families.answer(family, tokenizer, model, text, pair) for text, pair in zip(texts, pairs or [None] * count, strict=True)]
    other_labels = sum(here.get("label", "") != there.get("label", here.get("label", "")) for here, there in zip(found, expected, strict=True))
    other_tokens = sum(here["tokenCount"] != there["tokens"] for here, there in zip(found, expected, strict=True))
    cut = sum(here.get("truncated", False) for here in found)
    largest = max(differences(here, there) for here, there in zip(found, expected, strict=True))
    kinds = sorted({there.get("label", "value") for there in expected})
    print(f"{family.name:<12} {len(found)} texts ({cut} cut), {len(kinds)} labels won: {other_labels} other labels, {other_tokens} other lengths, largest difference {largest:.1e}", flush=True)
    return other_labels == 0 and other_tokens == 0 and largest < TOLERANCE and len(found) == count


def differences(here: dict, there: dict) -> float:
    if "value" in there:
        # Of the size of the value: it has no bounds.
        return abs(here["value"] - there["value"]) / max(1.0, abs(there["value"]))
    scores = {score["label"]: score.get("score", 0.0) for score in here["scores"]}
    return max(abs(scores[label] - score) for label, score in there["scores"].items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="FAMILY")
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/tandem")
    asked = parser.parse_args()
    chosen = [family for family in families.FAMILIES if not asked.families or family.name in asked.families]
    results = [compare(family, asked.binary.resolve(), asked.texts) for family in chosen]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
