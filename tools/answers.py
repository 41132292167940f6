"""Compares a running server with answers that a model's own package gave, text by text: each text alone, and each among 31 others.

    cargo build --release
    python tools/answers.py FOLDER [EXPECTED] [--binary target/release/tandem] [--bound 1e-6] [-- --deep-instances 1]

FOLDER is served as it is; EXPECTED (FOLDER/expected.jsonl by default) holds a JSON object a line: `text`, `label`, `probabilities`
by label. What comes after `--` is given to the server. Prints the largest differences and ends with 1 where a label differs, a
probability is further off than the bound, or a text's answer moves among others by more than the bound.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOGETHER = 32
PASSES = 3


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """The server on one folder, until the block ends."""

    def __init__(self, binary: Path, folder: Path, more: list[str]) -> None:
        self.port, grpc = free_port(), free_port()
        tier = "--deep" if (folder / "config.json").is_file() else "--fast"
        addresses = ["--http-addr", f"127.0.0.1:{self.port}", "--grpc-addr", f"127.0.0.1:{grpc}"]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen([binary, "serve", tier, folder, *addresses, *more], stderr=self.log, stdout=subprocess.DEVNULL)
        self.route = "ROUTE_" + tier.strip("-").upper()

    def __enter__(self) -> Server:
        until = time.monotonic() + 120
        while time.monotonic() < until and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5).read()
                return self
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        self.process.kill()
        self.process.wait()
        self.log.seek(0)
        raise SystemExit(self.log.read().decode()[-2000:])

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)

    def predict(self, texts: list[str]) -> list[dict]:
        body = json.dumps({"texts": texts, "topK": 1000, "route": self.route})
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/predict", body.encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["predictions"]


def scores(prediction: dict) -> dict[str, float]:
    return {score["label"]: score.get("score", 0.0) for score in prediction["scores"]}


def apart(here: dict[str, float], there: dict[str, float]) -> float:
    return max(abs(here[label] - score) for label, score in there.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("expected", type=Path, nargs="?")
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/tandem")
    parser.add_argument("--bound", type=float, default=1e-6)
    own = sys.argv[1:]
    more = own[own.index("--") + 1 :] if "--" in own else []
    asked = parser.parse_args(own[: own.index("--")] if "--" in own else own)
    lines = (asked.expected or asked.folder / "expected.jsonl").read_text(encoding="utf-8").split("\n")
    expected = [json.loads(line) for line in lines if line]
    texts = [line["text"] for line in expected]
    with Server(asked.binary.resolve(), asked.folder, more) as server:
        alone = [server.predict([text])[0] for text in texts]
        together: list[list[dict]] = [[] for _ in texts]
        shuffled = random.Random(5)
        for _ in range(PASSES):
            order = list(range(len(texts)))
            shuffled.shuffle(order)
            for at in range(0, len(order), TOGETHER):
                # The last ones have others for company again.
                places = [order[(at + step) % len(order)] for step in range(TOGETHER)]
                for place, prediction in zip(places, server.predict([texts[place] for place in places]), strict=True):
                    together[place].append(prediction)
    others = sum(found.get("label", "") != line["label"] for found, line in zip(alone, expected, strict=True))
    off_alone = max(apart(scores(found), line["probabilities"]) for found, line in zip(alone, expected, strict=True))
    off_together = max(
        apart(scores(found), line["probabilities"]) for all_found, line in zip(together, expected, strict=True) for found in all_found
    )
    moved = max(apart(scores(found), scores(one)) for all_found, one in zip(together, alone, strict=True) for found in all_found)
    print(
        f"{asked.folder.name}: {len(texts)} texts, {others} other labels; off by up to {off_alone:.1e} alone, {off_together:.1e} among"
        f" {TOGETHER - 1} others; an answer moves by up to {moved:.1e} among them"
    )
    sys.exit(0 if others == 0 and max(off_alone, off_together, moved) <= asked.bound else 1)


if __name__ == "__main__":
    main()
