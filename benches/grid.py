"""Measures what a text costs by its tokens and by the texts of a call, and what a call costs by connections.

    python3 benches/grid.py FOLDER --program target/release/tandem --minilm FOLDER/minilm-512

grid.sh runs it, with the settings; performance.py makes tables and drawings of FOLDER/grid.json. Standard library only.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import date
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
REVIEWS = ROOT / "src/cli/bench/reviews.txt"
# A call of so many texts of 512 tokens takes seconds, and more on a busy machine.
PATIENCE = ["--default-timeout", "1m"]
# Different texts of each length, the words that they are made of, and how many are asked for their tokens at once.
TEXTS, WORDS, AT_ONCE = 128, 512, 128
# The callers keep about so many texts in flight, but there are at most four of them, and one at least.
IN_FLIGHT = 64
# From so many tokens in flight on, a transformer of this size takes seconds to answer a call.
LONG_CALLS = 16_384
LONGEST_RUN = 180
# What is measured. The raw loop's batches are of so many tokens, and at most 32 texts: as large as makes them cheapest.
MINILM = {"name": "minilm", "route": "deep", "batch_tokens": 512}
FAST = {"name": "fast", "route": "fast", "batch_tokens": 32_768}


class Server:
    """A server on ports that the system chooses; ended with the block that it is for."""

    def __init__(self, program: str, models: Path) -> None:
        ports = ["--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--log-format", "json"]
        command = [program, "serve", "--models", str(models), *ports, *PATIENCE]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> "Server":
        for line in self.process.stderr:
            entry = json.loads(line) if line.startswith("{") else {"message": line}
            if entry["message"] == "listening":
                self.grpc, self.http = entry["grpc"], entry["http"]
            if entry["message"] == "ready":
                # Somebody has to read on, or the server would wait for room in the pipe.
                threading.Thread(target=self.process.stderr.read, daemon=True).start()
                return self
        sys.exit("the server did not start")

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)

    def tokens(self, texts: list[str], route: str) -> list[int]:
        """The number of tokens that the server counts in each text."""
        found = []
        for start in range(0, len(texts), AT_ONCE):
            body = json.dumps({"texts": texts[start : start + AT_ONCE], "route": route}).encode()
            headers = {"content-type": "application/json"}
            request = urllib.request.Request(f"http://{self.http}/v1/predict", body, headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                found += [each["tokenCount"] for each in json.load(answer)["predictions"]]
        return found


def made_texts(server: Server, widths: list[int], folder: Path) -> dict[int, Path]:
    """Files of texts of so many tokens each, of the words of reviews in random order."""
    chance, files = random.Random(1), {}
    words = chance.sample(sorted(set(re.findall(r"\w+", REVIEWS.read_text(encoding="utf-8")))), WORDS)
    ends = server.tokens(["."], "ROUTE_DEEP")[0] - 1
    pieces = {word: count - ends for word, count in zip(words, server.tokens(words, "ROUTE_DEEP"), strict=True)}
    by_pieces: dict[int, list[str]] = {}
    for word, count in pieces.items():
        by_pieces.setdefault(count, []).append(word)
    for width in widths:
        texts = []
        while len(texts) < TEXTS:
            text, left = [], width - ends
            while left > 0:
                word = chance.choice(words)
                if pieces[word] > left:
                    word = chance.choice(by_pieces[1])
                text.append(word)
                left -= pieces[word]
            texts.append(" ".join(text))
        # Some are enough: the tokens of words add up.
        counted = set(server.tokens(texts[:4], "ROUTE_DEEP"))
        if counted != {width}:
            sys.exit(f"texts of {width} tokens have {sorted(counted)}")
        files[width] = folder / f"texts-{width}.txt"
        files[width].write_text("\n".join(texts) + "\n", encoding="utf-8")
    return files


class Grid:
    """The measurements of a run, and the time that it has."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.started = options, time.monotonic()
        self.left_out: list[str] = []

    def bench(self, name: str, server: Server, *arguments: object) -> dict | None:
        """One run of `tandem bench`; nothing if it failed or there is no more time."""
        if time.monotonic() - self.started > self.options.limit:
            self.left_out.append(name)
            return None
        print(f"== {name}", file=sys.stderr)
        fixed = ["bench", "--server", server.grpc, "--server-pid", server.process.pid, "--json", "-"]
        command = [self.options.program, *map(str, [*fixed, *arguments])]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=LONGEST_RUN)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as problem:
            print(f"{name}: {problem}", file=sys.stderr)
            self.left_out.append(name)
            return None
        return json.loads(done.stdout)

    def cell(self, server: Server, model: dict, width: int, file: Path, texts: int) -> dict | None:
        """The server and the raw loop in turns, with texts of one length."""
        callers = max(1, min(4, IN_FLIGHT // texts))
        batch = max(1, min(32, texts * callers, model["batch_tokens"] // width))
        # All texts are as long, so the loop gains nothing by sorting more of them.
        window = min(texts * callers, max(batch, 16))
        # Where a call takes seconds, one is long enough, and a warm-up would be another one.
        long = model["route"] == "deep" and width * texts * callers > LONG_CALLS
        arguments = ["--models", model["models"], "--route", model["route"], "--texts", file, *PATIENCE]
        arguments += ["--reference", "onnx", "--reference-batch", batch, "--reference-window", window]
        arguments += ["--batch-size", texts, "--concurrency", callers, "--duration", self.options.duration]
        arguments += ["--rounds", 1 if long else self.options.rounds, "--warm-up", "0s" if long else "100ms"]
        report = self.bench(f"{model['name']}: {width} tokens, {texts} a call", server, *arguments)
        if report is None:
            return None
        found = report["comparison"]
        failed = sum(failure["latency"]["count"] for one in found["server"] for failure in one["failures"])
        return {
            "model": model["name"],
            "tokens": width,
            "texts": texts,
            "callers": callers,
            "reference_batch": batch,
            "server_us": middle(found["server"], "cpu_us_per_text"),
            "reference_us": middle(found["reference_rounds"], "cpu_us_per_text"),
            "ratio": found["ratios"]["cpu"],
            "wall": found["ratios"]["wall"],
            "failed": failed,
        }

    def cells(self, server: Server, model: dict, files: dict[int, Path]) -> list[dict]:
        found = []
        for width, file in files.items():
            for texts in self.options.texts:
                if cell := self.cell(server, model, width, file, texts):
                    found.append(cell)
        return found

    def connections(self, server: Server) -> list[dict]:
        """The fast model at a rate that is kept, over more and more connections, in alternating rounds."""
        rounds: dict[int, list[dict]] = {count: [] for count in self.options.connections}
        for at in range(self.options.rounds):
            for count, runs in rounds.items():
                load = ["--route", "fast", "--rate", self.options.rate, "--connections", count]
                load += ["--duration", self.options.connection_duration, "--warm-up", "500ms"]
                if report := self.bench(f"{count} connections, round {at + 1}", server, *load):
                    runs.append(report["measured"])
        return [
            {
                "connections": count,
                "cpu_us_per_call": middle(runs, "cpu_us_per_call"),
                "p50_ms": median(one["latency"]["p50_ms"] for one in runs),
                "p99_ms": median(one["latency"]["p99_ms"] for one in runs),
                "late_p99_ms": median(one["sent_late"]["p99_ms"] for one in runs),
                "failed": sum(failure["latency"]["count"] for one in runs for failure in one["failures"]),
            }
            for count, runs in rounds.items()
            if runs
        ]


def middle(rounds: list[dict], key: str) -> float:
    return median(round[key] for round in rounds)


def machine() -> dict:
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    cores = len(os.sched_getaffinity(0))
    return {"processor": names[0] if names else "unknown", "cores": cores, "load": os.getloadavg()[0]}


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split()]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--program", required=True)
    parser.add_argument("--minilm", type=Path, required=True, help="a repository that minilm.py wrote, of 512 tokens")
    parser.add_argument("--tokens", type=numbers, required=True)
    parser.add_argument("--texts", type=numbers, required=True)
    parser.add_argument("--connections", type=numbers, required=True)
    parser.add_argument("--rate", type=float, required=True, help="calls a second over the connections")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--duration", required=True, help="of a round of a cell")
    parser.add_argument("--connection-duration", required=True, help="of a round of the connections")
    parser.add_argument("--limit", type=float, required=True, help="seconds after which nothing more is begun")
    return parser.parse_args()


def main() -> None:
    given = options()
    given.folder.mkdir(parents=True, exist_ok=True)
    minilm = {**MINILM, "models": given.minilm}
    fast = {**FAST, "models": ROOT / "models"}
    found = {"date": date.today().isoformat(), "machine": machine(), "rate": given.rate, "rounds": given.rounds}
    grid = Grid(given)
    with Server(given.program, minilm["models"]) as server:
        files = made_texts(server, given.tokens, given.folder)
        found["cells"] = grid.cells(server, minilm, files)
    with Server(given.program, fast["models"]) as server:
        found["connections"] = grid.connections(server)
        found["cells"] += grid.cells(server, fast, files)
    found["left_out"], found["seconds"] = grid.left_out, round(time.monotonic() - grid.started)
    (given.folder / "grid.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if grid.left_out:
        print(f"left out, since they failed or the time was over: {'; '.join(grid.left_out)}", file=sys.stderr)


if __name__ == "__main__":
    main()
