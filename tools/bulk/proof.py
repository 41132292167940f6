#!/usr/bin/env python3
"""Proves that bulk work on an engine gives the labels of `tandem predict`, and that a kill in the middle loses and doubles nothing.

    tools/bulk/check.sh                        # the short form: the 2,000 reviews of tests/data, each ten times
    tools/bulk/check.sh --texts reviews.tsv    # with the columns id and document or text (.xz too): the figures of docs/bulk.md
    tools/bulk/check.sh spark                  # one engine alone

Started by check.sh, once for each engine, with that engine's packages. For each route it compares byte by byte the lines "id, label" of
the engine with those of `tandem predict` on the same texts.
"""

import argparse
import csv
import json
import lzma
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"
#: Longer than anything here takes.
BOUND_S = 1800
#: In the runs with a kill the servers let so large a part of the texts through a second: time to kill in the middle, on any machine.
RUN_S = 6
KEY = "bulk-proof-0123456789-0123456789"


class Server:
    """A server on a port of the system's choice."""

    def __init__(self, program, folder, rate=None):
        command = [program, "serve", "--models", MODELS, "--grpc-addr", "127.0.0.1:0", "--no-http", "--log-format", "json"]
        command += ["--metrics-addr", "127.0.0.1:0"]
        if rate is not None:
            keys = folder / "keys"
            keys.write_text(f"bulk:{KEY} texts_per_second={rate} burst={max(rate, 128)}\n")
            command += ["--tokens-file", keys]
        self.process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True, env=environment())
        for text in self.process.stderr:
            line = json.loads(text) if text.startswith("{") else {}
            if line.get("message") == "listening":
                self.address, self.metrics = line["grpc"], line["metrics"]
            if line.get("message") == "ready":
                break
        else:
            sys.exit("the server did not start")
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def texts(self):
        """How many texts it has answered."""
        headers = {"authorization": f"Bearer {KEY}"}
        request = urllib.request.Request(f"http://{self.metrics}/metrics", headers=headers)
        with urllib.request.urlopen(request, timeout=BOUND_S) as answer:
            lines = answer.read().decode().splitlines()
        return sum(int(line.split()[-1]) for line in lines if line.startswith("tandem_texts_total"))

    def callers(self):
        """The processes that have a connection to it."""
        port = int(self.address.rpartition(":")[2])
        sockets = set()
        # gRPC's sockets are of IPv6, whatever the address.
        lines = [line for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
        for line in lines:
            fields = line.split()
            if int(fields[2].rpartition(":")[2], 16) == port and fields[3] == "01":
                sockets.add(f"socket:[{fields[9]}]")
        found = set()
        for link in Path("/proc").glob("[0-9]*/fd/*"):
            try:
                if os.readlink(link) in sockets:
                    found.add(int(link.parts[2]))
            except OSError:
                continue
        return sorted(found - {self.process.pid})

    def kill(self):
        self.process.kill()
        self.process.wait()


def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_")}


def texts(path, count):
    """Texts by their ids: of a file of tab-separated columns; without one, those of the tests, each ten times."""
    given = path or ROOT / "tests/data/reviews.tsv"
    opened = lzma.open(given, "rt", encoding="utf-8") if str(given).endswith(".xz") else open(given, encoding="utf-8", newline="")
    with opened as file:
        rows = [(row["id"], row.get("document") or row.get("text") or "") for row in csv.DictReader(file, delimiter="\t")]
    if path is None:
        rows = [(f"{key}-{at}", f"{text} {at}") for at in range(10) for key, text in rows]
    return rows[:count] if count else rows


def write_rows(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"id": key, "text": text}, ensure_ascii=False) + "\n" for key, text in rows)
    return path


def predicted(program, path, rows, route):
    """The lines "id, label" of `tandem predict` in process, and the seconds that it took, its start left out."""
    command = [program, "predict", "--models", MODELS, "--route", route, "--format", "jsonl", "--file"]

    def run(file):
        began = time.monotonic()
        done = subprocess.run([*command, file], capture_output=True, check=True, env=environment(), timeout=BOUND_S)
        return done.stdout, time.monotonic() - began

    one = write_rows(path.with_suffix(".one"), rows[:1])
    start = min(run(one)[1] for _ in range(3))
    out, took = min((run(path) for _ in range(3)), key=lambda found: found[1])
    labels = [json.loads(line)["label"] for line in out.splitlines()]
    assert len(labels) == len(rows)
    return "".join(f"{key}\t{label}\n" for (key, _), label in zip(rows, labels)), max(took - start, 1e-9)


class Proof:
    def __init__(self, program, engine, folder):
        self.program, self.engine, self.folder = program, engine, folder
        self.failures = 0

    def start(self, path, *arguments, token=None):
        out = Path(tempfile.mkdtemp(dir=self.folder))
        command = [sys.executable, Path(__file__).with_name("engine.py"), self.engine, "--texts", path, "--out", out, *arguments]
        env = environment() | ({"TANDEM_TOKEN": token} if token else {})
        log = open(out / "log", "wb")
        # A session of its own: what it starts can be ended with it.
        return subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, env=env, start_new_session=True), out

    def finish(self, running, out):
        try:
            code = running.wait(BOUND_S)
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
        return code

    def check(self, what, out, rows, expected):
        """Whether each text has one answer, and the label that it should."""
        if not (out / "answers.tsv").exists():
            self.failures += 1
            print(f"FAILED  {self.engine}: {what}: no answers", flush=True)
            print((out / "log").read_text(errors="replace")[-3000:], file=sys.stderr)
            return None
        found = [line.split("\t") for line in (out / "answers.tsv").read_text(encoding="utf-8").splitlines()]
        place = {key: at for at, (key, _) in enumerate(rows)}
        lines = [f"{key}\t{label}\n" for key, label, _ in sorted(found, key=lambda one: place[one[0]])]
        errors = [error for _, _, error in found if error]
        same = "".join(lines) == expected
        seconds = json.loads((out / "took.json").read_text())["seconds"]
        self.failures += not same
        said = f"{len(found)} rows of {len(rows)}, {len({one[0] for one in found})} ids, {len(errors)} errors"
        print(f"{'ok     ' if same else 'FAILED '} {self.engine}: {what}: {said}, labels {'byte-equal' if same else 'DIFFER'}", flush=True)
        for error in errors[:3]:
            print(f"        {error}")
        return len(rows) / seconds

    def run(self, what, path, rows, expected, *arguments):
        running, out = self.start(path, *arguments)
        self.finish(running, out)
        return self.check(what, out, rows, expected)

    def with_a_kill(self, what, path, rows, expected, workers):
        """Kills a server, or a worker, when a third of the texts is answered."""
        rate = max(100, len(rows) // (RUN_S if what == "worker" else 2 * RUN_S))
        servers = [Server(self.program, self.folder, rate) for _ in range(1 if what == "worker" else 2)]
        try:
            before = time.monotonic()
            addresses = ",".join(server.address for server in servers)
            # Small requests, so that each text goes through the key's rate in its turn.
            running, out = self.start(path, "--addr", addresses, "--workers", workers, token=KEY)
            # The engine's own warm-up is answered too.
            while running.poll() is None and sum(server.texts() for server in servers) < 2000 + len(rows) // 3:
                time.sleep(0.02)
                assert time.monotonic() - before < BOUND_S
            if running.poll() is not None:
                print((out / "log").read_text(errors="replace")[-3000:], file=sys.stderr)
                sys.exit(f"{self.engine} ended before the kill")
            told = self.kill(what, servers, running)
            code = self.finish(running, out)
            if what == "worker" and code != 0:
                return told, out
            self.check(f"{told} at a third of the work", out, rows, expected)
            return None
        finally:
            for server in servers:
                server.kill()

    def kill(self, what, servers, running):
        if what == "server":
            servers[0].kill()
            return f"one of two servers killed (process {servers[0].process.pid})"
        # Of Beam's direct runner with one worker it is the whole job.
        workers = servers[0].callers()
        os.kill(workers[0], signal.SIGKILL)
        return f"a worker killed (process {workers[0]} of {len(workers)})"


def kills(proof, path, rows, expected):
    proof.with_a_kill("server", path, rows, expected, 1)
    # Beam's runners that can be had here do not try a bundle again that lost its worker: the work ends, and is run again.
    failed = proof.with_a_kill("worker", path, rows, expected, 2 if proof.engine != "beam-portable" else 1)
    if failed is not None:
        told, out = failed
        half = (out / "answers.tsv").exists()
        proof.failures += half
        print(f"{'FAILED ' if half else 'ok     '} {proof.engine}: {told}: the job failed and left no answers; again:", flush=True)
        proof.run("run again", path, rows, expected, "--program", proof.program, "--models", MODELS)


def figures(proof, path, rows, expected, in_process):
    """Texts a second, for docs/bulk.md."""
    first, second = Server(proof.program, proof.folder), Server(proof.program, proof.folder)
    own = ("--program", proof.program, "--models", MODELS)
    try:
        for name, arguments in {
            "own program, 1 worker": (*own, "--workers", 1),
            "own program, 2 workers": (*own, "--workers", 2),
            "one server, 1 worker": ("--addr", first.address, "--workers", 1),
            "one server, 2 workers": ("--addr", first.address, "--workers", 2),
            "two servers, 2 workers": ("--addr", f"{first.address},{second.address}", "--workers", 2),
        }.items():
            rate = proof.run(name, path, rows, expected, *arguments)
            if rate is not None:
                print(f"        {rate:,.0f} texts/s, {rate / in_process:.3f} of predict's {in_process:,.0f}", flush=True)
    finally:
        first.kill()
        second.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine")
    parser.add_argument("--texts", help="a file of texts: the long form, with figures")
    parser.add_argument("--rows", type=int, default=0, help="the first so many of them")
    parser.add_argument("--sample", type=int, default=2000, help="how many the deep route and the cascade get")
    parser.add_argument("--tandem", default=os.environ.get("TANDEM", ROOT / "target/release/tandem"))
    parser.add_argument("--only", choices=["labels", "kills", "figures"], help="a part of it")
    arguments = parser.parse_args()
    program = str(Path(arguments.tandem).resolve())
    folder = Path(tempfile.mkdtemp(prefix="tandem-bulk-"))
    try:
        proof = Proof(program, arguments.engine, folder)
        rows = texts(arguments.texts, arguments.rows)
        path = write_rows(folder / "texts.jsonl", rows)
        expected, took = predicted(program, path, rows, "fast")
        if arguments.texts:
            print(f"        tandem predict, fast: {len(rows)} texts, {len(rows) / took:,.0f} texts/s", flush=True)
        own = ("--program", program, "--models", MODELS)
        if arguments.only in (None, "labels"):
            if not arguments.texts or arguments.only:
                proof.run("fast", path, rows, expected, *own)
            some = rows[: arguments.sample] if arguments.texts else rows[:300]
            sample = write_rows(folder / "sample.jsonl", some)
            for route in ("deep", "cascade"):
                want, _ = predicted(program, sample, some, route)
                proof.run(route, sample, some, want, *own, "--route", route)
        if arguments.only in (None, "kills"):
            kills(proof, path, rows, expected)
        if arguments.only in (None, "figures") and arguments.texts:
            figures(proof, path, rows, expected, len(rows) / took)
        sys.exit(1 if proof.failures else 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
