#!/usr/bin/env python3
"""Exchanges versions of the shipped models under load, and counts what callers notice.

    tools/scoreboard/swaps.py [--short] [--program PROGRAM] [ROW ...]

    right      mixed calls (fast, deep, cascade; gRPC) while versions of both models change: no call fails, each names one version
               of each model that took part, and its answer is that version's
    broken     versions that are broken in many ways, offered under the same calls: all are refused, no call fails
    tail       the 99th percentile of calls at half load, steady and during exchanges (`tandem bench` asks)
    memory     many exchanges: resident memory, threads and open files, after as before
    shadow     a version that is tried beside the one that serves: how long it takes, and the tail meanwhile

Without a ROW, all. The server is the release build unless told otherwise. Versions differ in their temperature: labels are the
same, confidences tell them apart. --short is a form with small counts. Figures of time say little on a busy machine. Exits 1 if
a row misses its mark; shadow has none, and --short judges no times.
"""

import argparse
import hashlib
import json
import math
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
MODELS = ("sentiment-fast", "sentiment-deep")
PATIENCE = 120
# How many times the shipped temperature a version has, by whether its number is even.
FACTORS = (1.6, 1.0)


def stubs():
    """The generated client, by the pinned tools."""
    folder = subprocess.run([f"{ROOT}/tools/test-tools.sh", "grpc"], check=True, capture_output=True, text=True).stdout.strip()
    sys.path.insert(0, folder)
    generated = tempfile.mkdtemp()
    from grpc_tools import protoc

    found = (os.path.join(folder, name) for folder, _, names in os.walk(f"{ROOT}/proto") for name in names)
    files = [file for file in found if file.endswith(".proto")]
    include = os.path.join(os.path.dirname(protoc.__file__), "_proto")
    arguments = [f"-I{ROOT}/proto", f"-I{include}", f"--python_out={generated}", f"--grpc_python_out={generated}"]
    if protoc.main(["protoc", *arguments, *files]) != 0:
        raise SystemExit("the protocol files can't be compiled")
    sys.path.insert(0, generated)
    import grpc
    from tandem.v1 import prediction_pb2, prediction_pb2_grpc

    return grpc, prediction_pb2, prediction_pb2_grpc


class Repository:
    """A repository whose versions come and go. Large files are links to the shipped ones."""

    def __init__(self):
        # On the same file system, for the links.
        os.makedirs(f"{ROOT}/target", exist_ok=True)
        self.folder = tempfile.mkdtemp(dir=f"{ROOT}/target")
        self.newest = dict.fromkeys(MODELS, 0)
        for name in MODELS:
            self.add(name)

    def path(self, name, version):
        return f"{self.folder}/{name}/{version}"

    def add(self, name, spoil=None):
        """The next version; `spoil` breaks it first. It appears whole, as a careful operator would have it."""
        self.newest[name] += 1
        version = self.newest[name]
        shipped, new = f"{ROOT}/models/{name}/1", f"{self.folder}/.new"
        os.makedirs(new)
        for file in os.listdir(shipped):
            if file not in ("manifest.toml", "golden.jsonl"):
                os.link(f"{shipped}/{file}", f"{new}/{file}")
        with open(f"{shipped}/manifest.toml", encoding="utf-8") as file:
            lines = file.read().splitlines()
        found = next(line for line in lines if line.startswith("temperature = "))
        temperature = float(found.split(" = ")[1]) * FACTORS[version % 2 == 0]
        with open(f"{shipped}/golden.jsonl", encoding="utf-8") as file:
            examples = [json.loads(line) for line in file]
        for example in examples:
            powers = [math.exp(logit / temperature) for logit in example["logits"]]
            example["probabilities"] = [power / sum(powers) for power in powers]
        golden = "".join(json.dumps(example, ensure_ascii=False) + "\n" for example in examples).encode()
        with open(f"{new}/golden.jsonl", "wb") as file:
            file.write(golden)
        changed = {
            found: f"temperature = {temperature!r}",
            'version = "1"': f'version = "{version}"',
        }
        lines = [changed.get(line, line) for line in lines]
        digest = hashlib.sha256(golden).hexdigest()
        lines = [f'"golden.jsonl" = "{digest}"' if line.startswith('"golden.jsonl"') else line for line in lines]
        with open(f"{new}/manifest.toml", "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        if spoil:
            spoil(new)
        os.makedirs(f"{self.folder}/{name}", exist_ok=True)
        os.rename(new, self.path(name, version))
        return str(version)

    def remove(self, name, version):
        shutil.rmtree(self.path(name, version))

    def close(self):
        shutil.rmtree(self.folder)


class Server:
    def __init__(self, program, *flags):
        self.repository = Repository()
        command = [program, "serve", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--log-format", "json"]
        command += ["--models", self.repository.folder, *flags]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.log = queue.Queue()
        threading.Thread(target=self.read_log, daemon=True).start()
        self.address = self.wait_for("listening")["grpc"]
        self.wait_for("ready")
        self.serving = dict.fromkeys(MODELS, "1")

    def read_log(self):
        for line in self.process.stderr:
            self.log.put(json.loads(line))

    def wait_for(self, *messages):
        until = time.monotonic() + PATIENCE
        while True:
            entry = self.log.get(timeout=max(0.1, until - time.monotonic()))
            if entry.get("message") in messages:
                return entry

    def reload(self):
        os.kill(self.process.pid, signal.SIGHUP)

    def exchange(self, name):
        """Puts a new version in the place of the one that serves; how long that took, and how long until the old was gone."""
        old = self.serving[name]
        new = self.repository.add(name)
        started = time.monotonic()
        self.reload()
        entry = self.wait_for("a new version serves", "a version was refused, what served before does")
        if "from" not in entry:
            raise SystemExit(f"a sound version was refused: {entry}")
        assert (entry["model"], entry["version"], entry["from"]) == (name, new, old), entry
        served = time.monotonic()
        self.wait_for("a version is gone")
        self.serving[name] = new
        self.repository.remove(name, old)
        return served - started, time.monotonic() - served

    def figures(self):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as status:
            fields = dict(line.split(":", 1) for line in status)
        return {
            "rss_mib": int(fields["VmRSS"].split()[0]) / 1024,
            "threads": int(fields["Threads"]),
            "files": len(os.listdir(f"/proc/{self.process.pid}/fd")),
        }

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = "none within 30 s"
        self.repository.close()
        if code != 0:
            raise SystemExit(f"the server's exit code is {code}")


class Callers:
    """Threads that ask without a pause, or with one, and compare what they get with what the versions say when all is quiet."""

    def __init__(self, server, callers, pause):
        self.grpc, self.pb, services = stubs_once()
        self.server = server
        self.calls = self.make_calls()
        self.expected = {}
        self.channels = [self.grpc.insecure_channel(server.address) for _ in range(callers)]
        self.stubs = [services.PredictionServiceStub(channel) for channel in self.channels]
        self.pause = pause
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.answered, self.failures, self.wrong, self.seen = 0, [], [], set()
        self.threads = []

    def make_calls(self):
        with open(f"{ROOT}/tests/data/reviews.tsv", encoding="utf-8") as file:
            next(file)
            texts = [line.rstrip("\n").split("\t", 2)[2] for line in file]
        draw = random.Random(20261123)
        calls = []
        for at in range(30):
            route = (self.pb.ROUTE_FAST, self.pb.ROUTE_DEEP, self.pb.ROUTE_CASCADE)[at % 3]
            some = draw.sample(texts, draw.choice((1, 1, 2, 4)))
            call = self.pb.PredictRequest(texts=some, route=route)
            if route == self.pb.ROUTE_CASCADE:
                call.min_confidence = 0.8
            calls.append(call)
        return calls

    def kind(self, models):
        """Which kind of version of each tier answered; nothing if a tier is there twice."""
        kinds = {}
        for model in models:
            if model.tier in kinds:
                return None
            kinds[model.tier] = int(model.version) % 2
        return tuple(sorted(kinds.items()))

    def learn(self, models):
        """What each call gets from each pair of versions of these models, while nothing else happens."""
        def all_calls():
            for at, call in enumerate(self.calls):
                answer = self.stubs[0].Predict(call, timeout=30)
                key = (at, self.kind(answer.models))
                assert key[1], answer.models
                self.expected[key] = [(text.label, text.confidence) for text in answer.predictions]

        all_calls()
        for name in models if len(models) == 1 else (*models, models[0]):
            self.server.exchange(name)
            all_calls()

    def judge(self, at, answer):
        kind = self.kind(answer.models)
        expected = self.expected.get((at, kind))
        if expected is None or len(expected) != len(answer.predictions):
            return False
        pairs = zip(answer.predictions, expected)
        return all(text.label == label and abs(text.confidence - sure) < 1e-4 for text, (label, sure) in pairs)

    def ask(self, number):
        draw = random.Random(number)
        while not self.stop.is_set():
            at = draw.randrange(len(self.calls))
            try:
                answer = self.stubs[number].Predict(self.calls[at], timeout=30)
            except self.grpc.RpcError as error:
                with self.lock:
                    self.failures.append((error.code().name, error.details()))
                continue
            right = self.judge(at, answer)
            with self.lock:
                self.answered += 1
                self.seen.update((model.name, model.version) for model in answer.models)
                if not right:
                    self.wrong.append((at, answer))
            time.sleep(self.pause)

    def __enter__(self):
        self.threads = [threading.Thread(target=self.ask, args=(at,)) for at in range(len(self.stubs))]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        for channel in self.channels:
            channel.close()

    def wait_for_calls(self, wanted):
        while self.answered < wanted:
            time.sleep(0.05)


STUBS = []


def stubs_once():
    if not STUBS:
        STUBS.extend(stubs())
    return STUBS


def report(row, passed, **figures):
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items())
    print(f"{row:8} {'ok    ' if passed else 'MISSED'} {told}", flush=True)
    return passed


def middle(values):
    return sorted(values)[len(values) // 2]


def row_right(program, short):
    exchanges, wanted = (4, 200) if short else (50, 10_000)
    # The deep model takes seconds to load in a debug build.
    models = MODELS[:1] if short else MODELS
    with Server(program) as server:
        callers = Callers(server, 4, 0.002)
        callers.learn(models)
        took = []
        with callers:
            for at in range(exchanges):
                callers.wait_for_calls(wanted * at // exchanges)
                took.append(server.exchange(models[at % len(models)])[0])
            callers.wait_for_calls(wanted)
    passed = not callers.failures and not callers.wrong and callers.answered >= wanted
    for problem in callers.failures[:3] + callers.wrong[:3]:
        print("        ", problem)
    return report(
        "right", passed, calls=callers.answered, exchanges=exchanges, failed=len(callers.failures), wrong=len(callers.wrong),
        versions_seen=len(callers.seen), seconds_an_exchange=f"{middle(took):.2f} (most {max(took):.2f})",
    )


def spoilers():
    """Ways to break a version's folder; each is named."""
    def edit(file, old, new):
        def change(folder):
            path = f"{folder}/{file}"
            with open(path, encoding="utf-8") as text:
                content = text.read()
            assert old in content, (file, old)
            os.remove(path)
            with open(path, "w", encoding="utf-8") as text:
                text.write(content.replace(old, new, 1))
        return change

    def rewrite(file, change, honest):
        def spoil(folder):
            path = f"{folder}/{file}"
            with open(path, "rb") as content:
                new = change(content.read())
            os.remove(path)
            with open(path, "wb") as content:
                content.write(new)
            if honest:
                with open(f"{folder}/manifest.toml", encoding="utf-8") as text:
                    lines = text.read().splitlines()
                digest = hashlib.sha256(new).hexdigest()
                lines = [f'"{file}" = "{digest}"' if line.startswith(f'"{file}"') else line for line in lines]
                with open(f"{folder}/manifest.toml", "w", encoding="utf-8") as text:
                    text.write("\n".join(lines) + "\n")
        return spoil

    def flip(at):
        def change(content):
            place = int(len(content) * at)
            return content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1:]
        return change

    half = lambda content: content[: len(content) // 2]
    manifest = "manifest.toml"
    ways = [
        ("a flipped bit", rewrite("model.onnx", flip(0.5), False)),
        ("half a file", rewrite("model.onnx", half, False)),
        ("an empty file", rewrite("model.onnx", lambda _: b"", False)),
        ("no file", lambda folder: os.remove(f"{folder}/model.onnx")),
        ("no golden examples", lambda folder: os.remove(f"{folder}/golden.jsonl")),
        ("half a file, honestly", rewrite("model.onnx", half, True)),
        ("rubbish, honestly", rewrite("model.onnx", lambda _: b"rubbish", True)),
        ("zeros in the weights, honestly", rewrite("model.onnx", lambda c: c[:len(c) // 3] + bytes(4096) + c[len(c) // 3 + 4096:], True)),
        ("golden examples of others", rewrite("golden.jsonl", lambda c: c.replace(b'"logits":[', b'"logits":[9'), True)),
        ("no golden example", rewrite("golden.jsonl", lambda _: b"", True)),
        ("broken manifest", edit(manifest, "[onnx]", "[onnx")),
        ("unknown key", edit(manifest, "tier = ", "teir = 1\ntier = ")),
        ("other name", edit(manifest, 'name = "', 'name = "x')),
        ("other version", edit(manifest, '\nversion = "', '\nversion = "x')),
        ("other tier", edit(manifest, 'tier = "fast"', 'tier = "deep"')),
        ("other labels", edit(manifest, '"negative"', '"neutral"')),
        ("labels the other way round", edit(manifest, '"negative", "positive"', '"positive", "negative", "neutral"')),
        ("other temperature", edit(manifest, "temperature = ", "temperature = 9")),
        ("other preprocessing", edit(manifest, "max_n = 5", "max_n = 4")),
        ("no such output", edit(manifest, 'output = "logits"', 'output = "scores"')),
    ]
    return ways


def row_broken(program, short):
    ways = spoilers()[:: 5 if short else 1]
    with Server(program) as server:
        callers = Callers(server, 4, 0.002)
        callers.learn(MODELS[:1])
        stages = {}
        with callers:
            for what, spoil in ways:
                version = server.repository.add(MODELS[0], spoil)
                server.reload()
                entry = server.wait_for("a new version serves", "a version was refused, what served before does")
                if "stage" not in entry:
                    return report("broken", False, taken=what)
                assert entry["version"] == version, entry
                stages[entry["stage"]] = stages.get(entry["stage"], 0) + 1
                server.repository.remove(MODELS[0], version)
    passed = not callers.failures and not callers.wrong
    counts = " ".join(f"{stage}:{count}" for stage, count in sorted(stages.items()))
    return report(
        "broken", passed, offered=len(ways), refused=sum(stages.values()), at=counts, calls=callers.answered,
        failed=len(callers.failures), wrong=len(callers.wrong),
    )


def bench(program, server, seconds, *flags):
    command = [program, "bench", "--server", server.address, "--duration", f"{seconds}s", "--warm-up", "1s", "--json", "-", *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def summary(process):
    out, _ = process.communicate()
    return json.loads(out)


def half_of_capacity(program, server, route, short):
    """Half of the calls a second that the server can do."""
    found = summary(bench(program, server, 2 if short else 6, "--route", route, "--concurrency", "16"))
    return found["measured"]["calls_per_second"] / 2


def row_tail(program, short):
    seconds, rounds = (3, 1) if short else (12, 4)
    passed = True
    for route in ("fast", "deep"):
        with Server(program) as server:
            rate = half_of_capacity(program, server, route, short)
            steady, during, exchanges = [], [], 0
            for _ in range(rounds):
                load = ("--route", route, "--rate", f"{rate:.0f}")
                steady.append(summary(bench(program, server, seconds, *load))["measured"]["latency"]["p99_ms"])
                asking = bench(program, server, seconds, *load)
                time.sleep(1.2)
                while asking.poll() is None:
                    server.exchange(MODELS[exchanges % 2])
                    exchanges += 1
                during.append(summary(asking)["measured"]["latency"]["p99_ms"])
        before, then = middle(steady), middle(during)
        kept = then <= 1.5 * before or then <= before + 20
        passed = report(
            "tail", kept, route=route, calls_a_second=f"{rate:.0f}", exchanges=exchanges, p99_ms_steady=f"{before:.2f}",
            p99_ms_exchanging=f"{then:.2f}", all_steady=[round(value, 2) for value in steady],
            all_exchanging=[round(value, 2) for value in during],
        ) and passed
    return passed or short


def row_memory(program, short):
    exchanges = 6 if short else 200
    with Server(program) as server:
        callers = Callers(server, 2, 0.005)
        callers.learn(MODELS)
        with callers:
            callers.wait_for_calls(50 if short else 500)
            for name in MODELS:
                server.exchange(name)
            time.sleep(1)
            before = server.figures()
            most = before["rss_mib"]
            for at in range(exchanges):
                server.exchange(MODELS[at % 2])
                most = max(most, server.figures()["rss_mib"])
                if at % 20 == 19:
                    print(f"         after {at + 1}: {server.figures()}", flush=True)
            time.sleep(1)
            after = server.figures()
    ratio = after["rss_mib"] / before["rss_mib"]
    passed = ratio <= 1.1 and after["threads"] <= before["threads"] and after["files"] <= before["files"] and not callers.failures
    return report(
        "memory", passed, exchanges=exchanges, mib_before=f"{before['rss_mib']:.0f}", mib_after=f"{after['rss_mib']:.0f}",
        ratio=f"{ratio:.3f}", most=f"{most:.0f}", threads=f"{before['threads']} {after['threads']}",
        files=f"{before['files']} {after['files']}", calls=callers.answered, failed=len(callers.failures), wrong=len(callers.wrong),
    )


def row_shadow(program, short):
    seconds, texts = (4, 20) if short else (40, 200)
    with Server(program, "--shadow-texts", str(texts)) as server:
        rate = half_of_capacity(program, server, "deep", short)
        load = ("--route", "deep", "--rate", f"{rate:.0f}")
        steady = summary(bench(program, server, seconds, *load))["measured"]["latency"]["p99_ms"]
        asking = bench(program, server, seconds, *load)
        time.sleep(1.2)
        took, _ = server.exchange(MODELS[1])
        trying = summary(asking)["measured"]["latency"]["p99_ms"]
    return report(
        "shadow", True, texts=texts, seconds=f"{took:.1f}", p99_ms_steady=f"{steady:.2f}", p99_ms_meanwhile=f"{trying:.2f}"
    )


ROWS = {"right": row_right, "broken": row_broken, "tail": row_tail, "memory": row_memory, "shadow": row_shadow}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="small counts")
    parser.add_argument("--program", default=f"{os.environ.get('CARGO_TARGET_DIR', ROOT + '/target')}/release/tandem")
    parser.add_argument("rows", nargs="*", metavar="ROW", choices=[[], *ROWS], help=", ".join(ROWS))
    arguments = parser.parse_args()
    outcomes = [ROWS[row](arguments.program, arguments.short) for row in arguments.rows or ROWS]
    sys.exit(0 if all(outcomes) else 1)


if __name__ == "__main__":
    main()
