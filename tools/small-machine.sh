#!/bin/sh
# Measures the server on a small machine's share: pinned to one core, files in the page cache. Prints the time to ready (the
# middle of three starts), the peak resident memory with both models under load, and how it ended; fails when a limit is missed.
#
#   tools/small-machine.sh [PROGRAM]     default: target/release/tandem
#
# The load is bounded: 2,000 requests over HTTP, 8 at a time, to both models, alone and in batches of 32. The client runs on the
# other cores where there are any; on a busy machine the times say little.
set -eu

cd "$(dirname -- "$0")/.."
program=${1:-${CARGO_TARGET_DIR:-target}/release/tandem}
[ -x "$program" ] || {
    echo "$0: $program is not there: run cargo build --release" >&2
    exit 2
}
command -v taskset >/dev/null || {
    echo "$0: taskset is not here (package util-linux)" >&2
    exit 2
}

# Linux keeps what was read: the start does not wait for a disk.
find models -type f -exec cat {} + >/dev/null
find "${CARGO_TARGET_DIR:-target}/onnxruntime" -name 'libonnxruntime*' -exec cat {} + >/dev/null 2>&1 || true
cat "$program" >/dev/null

exec python3 - "$program" <<'PYTHON'
import http.client
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time

STARTS, REQUESTS, CONCURRENCY, BATCH = 3, 2000, 8, 32
READY_LIMIT_S, MEMORY_LIMIT_MB = 2.0, 300
PROGRAM = sys.argv[1]

cores = sorted(os.sched_getaffinity(0))
core, others = cores[0], cores[1:]
if others:
    os.sched_setaffinity(0, others)


class Server:
    def __init__(self):
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            ["taskset", "--cpu-list", str(core), PROGRAM, "serve", "--grpc-addr", "127.0.0.1:0",
             "--http-addr", "127.0.0.1:0", "--log-format", "json", "--log-filter", "info"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            self.port = self.find_port()
            self.ready_s = self.wait_until_ready()
            self.ready_cpu_s = self.cpu_s()
        except BaseException:
            self.process.kill()
            raise

    def find_port(self):
        seen = []
        for line in self.process.stderr:
            seen.append(line)
            try:
                address = json.loads(line).get("http")
            except ValueError:
                continue
            if address:
                # Somebody has to read on, or the server would wait for room in the pipe.
                threading.Thread(target=self.process.stderr.read, daemon=True).start()
                return int(address.rsplit(":", 1)[1])
        sys.exit("the server did not start:\n" + "".join(seen))

    def wait_until_ready(self):
        while time.monotonic() - self.started < 60:
            if self.process.poll() is not None:
                sys.exit(f"the server ended with {self.process.returncode} before it was ready")
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return time.monotonic() - self.started
            except OSError:
                pass
            finally:
                connection.close()
            time.sleep(0.005)
        sys.exit("the server was not ready after a minute")

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as stat:
            user, system = stat.read().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def peak_mb(self):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as status:
            kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        return kib * 1024 / 1e6

    def stop(self):
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            sys.exit("the server did not end within a minute of SIGTERM")
        return code, time.monotonic() - begin


def reviews():
    with open("tests/data/reviews.tsv", encoding="utf-8") as file:
        next(file)
        return [line.rstrip("\n").split("\t", 2)[2] for line in file]


def load(port, texts):
    """Every kind in turn, so that both models are busy at the same time."""
    kinds = [(name, fast, size) for name, fast in (("fast", True), ("deep", False)) for size in (1, BATCH)]
    took = {(name, size): [] for name, _, size in kinds}
    failures = []
    places = itertools.count()

    def work():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"content-type": "application/json", "x-request-timeout-ms": "60000"}
        while (at := next(places)) < REQUESTS:
            name, fast, size = kinds[at % len(kinds)]
            batch = [texts[(at * 7 + i) % len(texts)] for i in range(size)]
            begin = time.monotonic()
            try:
                connection.request("POST", "/predict", json.dumps({"text": batch, "do_fast": fast}), headers)
                answer = connection.getresponse()
                body = answer.read()
            except OSError as error:
                failures.append(str(error))
                connection.close()
                continue
            took[name, size].append(time.monotonic() - begin)
            if answer.status != 200 or len(json.loads(body)) != size:
                failures.append(f"{answer.status} {body[:200]!r}")

    begin = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(CONCURRENCY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took, failures, time.monotonic() - begin


ready, codes = [], []
for _ in range(STARTS - 1):
    server = Server()
    ready.append(server.ready_s)
    codes.append(server.stop()[0])

server = Server()
try:
    ready.append(server.ready_s)
    idle_mb = server.peak_mb()
    took, failures, seconds = load(server.port, reviews())
    peak_mb = server.peak_mb()
finally:
    code, stop_s = server.stop()
codes.append(code)

ready_s = statistics.median(ready)
texts = sum(len(times) * size for (_, size), times in took.items())
print(f"core {core} of {len(cores)}, load average {os.getloadavg()[0]:.1f}")
print(f"ready        {ready_s:6.2f} s    limit {READY_LIMIT_S:.0f} s    of " + ", ".join(f"{s:.2f}" for s in ready)
      + f"; processor time of the last {server.ready_cpu_s:.2f}")
print(f"peak memory  {peak_mb:6.0f} MB   limit {MEMORY_LIMIT_MB} MB   after the start {idle_mb:.0f}")
print(f"load         {REQUESTS} requests, {texts} texts in {seconds:.1f} s, {CONCURRENCY} at a time, {len(failures)} failed")
for (name, size), times in took.items():
    times.sort()
    p50, p99 = (times[int(len(times) * q)] * 1e3 for q in (0.5, 0.99))
    print(f"  {name} x {size:<3}   median {p50:6.1f} ms   99% {p99:6.1f} ms")
print(f"SIGTERM      exit code {code} after {stop_s:.2f} s")

missed = []
if ready_s >= READY_LIMIT_S:
    missed.append("ready")
if peak_mb >= MEMORY_LIMIT_MB:
    missed.append("peak memory")
if failures:
    missed.append(f"requests, the first: {failures[0]}")
if any(codes):
    missed.append(f"exit codes {codes}")
if missed:
    sys.exit("missed: " + "; ".join(missed))
print("ok")
PYTHON
