#!/usr/bin/env python3
"""Measures what the simulation of autoscaling needs to know of the real program, into measured.json beside this file.

    tools/autoscale/measure.py [--program PROGRAM] [--out FILE]

A server with both shipped models on one core, as a replica of one core has it. Costs are processor time, by /proc, not time on the
clock: other programs on the machine change that less. Of three rounds the cheapest counts, the one that was least disturbed.
About a minute on a quiet machine.
"""

import argparse
import datetime
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
TICKS = os.sysconf("SC_CLK_TCK")
ROUNDS, STARTS = 3, 5
# Texts in a call; the server cuts large calls into the batches that cost least.
SIZES = (1, 2, 4, 8, 16, 32)
TEXTS_A_SIZE = 640


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Server:
    """The program on one core, or on those that `cores` names, from its start to ready."""

    def __init__(self, program, options=(), cores=None):
        self.program, self.grpc, self.http = program, free_port(), free_port()
        cores = cores or str(min(os.sched_getaffinity(0)))
        command = ["taskset", "--cpu-list", cores, program, "serve", "--models", f"{ROOT}/models", "--log-filter", "error"]
        command += ["--grpc-addr", f"127.0.0.1:{self.grpc}", "--http-addr", f"127.0.0.1:{self.http}", *options]
        began = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() - began > 120:
                raise SystemExit("the server does not start")
            time.sleep(0.005)
        self.started_s = time.monotonic() - began
        self.started_cpu_s = self.cpu_s()

    def ready(self):
        try:
            return self.page("/readyz")[0] == 200
        except OSError:
            return False

    def page(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        found = answer.status, answer.read().decode()
        connection.close()
        return found

    def cpu_s(self, thread=None):
        """Processor time of the process, or of those of its threads whose name begins so."""
        folder, ticks = f"/proc/{self.process.pid}", 0
        for file in [f"{folder}/stat"] if thread is None else [f"{folder}/task/{task}/stat" for task in os.listdir(f"{folder}/task")]:
            with open(file) as stat:
                name, rest = stat.read().split("(", 1)[1].rsplit(")", 1)
            ticks += sum(int(field) for field in rest.split()[11:13]) if name.startswith(thread or "") else 0
        return ticks / TICKS

    def counter(self, name, tier):
        return next(
            float(line.split()[1]) for line in self.page("/metrics")[1].splitlines() if line.startswith(name + "{") and f'tier="{tier}"' in line
        )

    def memory_mb(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

    def load(self, route, concurrency, size, calls, options=()):
        """What that many calls cost: runs of the model (for the cascade, of the deep one), their texts, processor time of its threads,
        and of all. `answer` is what `tandem bench` measured."""
        tier = "deep" if route == "cascade" else route
        figures = lambda: [
            self.counter("tandem_batch_texts_count", tier), self.counter("tandem_batch_texts_sum", tier),
            self.cpu_s(f"sentiment-{tier}"), self.cpu_s(),
        ]
        command = [self.program, "bench", "--server", f"127.0.0.1:{self.grpc}", "--route", route, "--warm-up", "0s", "--json", "-"]
        command += ["--concurrency", str(concurrency), "--batch-size", str(size), "--calls", str(calls), *options]
        before = figures()
        done = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
        if done["measured"]["failures"]:
            raise SystemExit(f"calls failed: {done['measured']['failures']}")
        runs, texts, inference, everything = (after - early for after, early in zip(figures(), before))
        return {"runs": runs, "texts": texts, "inference_ms": inference * 1000, "cpu_ms": everything * 1000, "calls": calls,
                "answer": done["measured"]}

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def cheapest(measure):
    return min((measure() for _ in range(ROUNDS)), key=lambda found: found["cpu_ms"] / found["calls"])


def settled(program):
    """A server that fills its batches, and how many there were that did not.

    The server measures at its start what batches cost. Where other programs disturb that, it may hold small ones for the best."""
    for retries in range(10):
        server = Server(program)
        try:
            found = server.load("deep", 64, 1, TEXTS_A_SIZE)
        except BaseException:
            server.stop()
            raise
        if found["texts"] / found["runs"] > 6:
            return server, retries
        server.stop()
    raise SystemExit("the machine is too busy to measure: batches stay small")


def measure(program):
    starts = []
    for _ in range(STARTS):
        server = Server(program)
        starts.append((server.started_s, server.started_cpu_s))
        server.stop()
    server, retries = settled(program)
    try:
        deep = [cheapest(lambda: server.load("deep", 1, size, TEXTS_A_SIZE // size)) for size in SIZES]
        full = cheapest(lambda: server.load("deep", 64, 1, 2 * TEXTS_A_SIZE))
        fast = cheapest(lambda: server.load("fast", 64, 1, 40_000))
        memory = server.memory_mb()
    finally:
        server.stop()
    points = [(found["texts"] / found["runs"], found["inference_ms"] / found["runs"]) for found in (*deep, full)]
    return {
        "start_s": round(statistics.median(taken for taken, _ in starts), 2),
        "start_least_s": round(min(taken for taken, _ in starts), 2),
        "start_cpu_s": round(statistics.median(cpu for _, cpu in starts), 2),
        "memory_mb": round(memory),
        "disturbed_starts": retries,
        # Runs: texts, and ms for all of them. A call costs call_ms beside its runs.
        "deep": {
            "call_ms": round((full["cpu_ms"] - full["inference_ms"]) / full["calls"], 3),
            "points": [[round(value, 2) for value in point] for point in points],
        },
        # 64 callers of one text: how full batches get.
        "full": {"texts_a_run": round(full["texts"] / full["runs"], 1), "ms_a_text": round(full["cpu_ms"] / full["texts"], 3)},
        "fast": {"call_ms": round(fast["cpu_ms"] / fast["calls"], 4)},
    }


def machine():
    with open("/proc/cpuinfo") as information:
        model = next((found.split(":")[1].strip() for found in information if found.startswith("model name")), "unknown")
    return {"processor": model, "cores": os.cpu_count(), "load_average": round(os.getloadavg()[0], 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=f"{os.environ.get('CARGO_TARGET_DIR', ROOT + '/target')}/release/tandem")
    parser.add_argument("--out", default=f"{os.path.dirname(os.path.abspath(__file__))}/measured.json")
    options = parser.parse_args()
    version = subprocess.run([options.program, "--version"], check=True, capture_output=True, text=True).stdout.split("\n")[0]
    found = {"date": datetime.date.today().isoformat(), "program": version, "machine": machine(), **measure(options.program)}
    with open(options.out, "w") as file:
        json.dump(found, file, indent=2)
        file.write("\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
