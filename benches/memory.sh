#!/bin/sh
# Does the server's memory stay bounded? Random texts, lengths and batch sizes to both models, for some minutes; prints the resident
# memory after warm-up, the peak and the end, and fails when the end is more than 1.2 times the start.
#
#   benches/memory.sh [MINUTES] [PROGRAM [ARGUMENT...]]     default: 30 target/release/tandem
#
# Arguments go to `serve`: `benches/memory.sh 5 target/release/tandem --deep-instances 8`.
set -eu

cd "$(dirname -- "$0")/.."
minutes=${1:-30}
[ $# -eq 0 ] || shift
program=${1:-${CARGO_TARGET_DIR:-target}/release/tandem}
[ $# -eq 0 ] || shift
[ -x "$program" ] || {
    echo "$0: $program is not there: run cargo build --release" >&2
    exit 2
}

exec python3 - "$minutes" "$program" "$@" <<'PYTHON'
import http.client
import json
import random
import signal
import subprocess
import sys
import threading
import time

CALLERS, MOST_TEXTS, MOST_CHARACTERS, LIMIT, SEED = 8, 64, 600, 1.2, 20261122
minutes, program = float(sys.argv[1]), sys.argv[2]

with open("tests/data/reviews.tsv", encoding="utf-8") as file:
    next(file)
    words = " ".join(line.rstrip("\n").split("\t", 2)[2] for line in file)

server = subprocess.Popen(
    [program, "serve", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--log-format", "json", *sys.argv[3:]],
    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def memory_mb(key):
    with open(f"/proc/{server.pid}/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(key)) * 1024 / 1e6


def wait_for_ready():
    """The port of the gateway, once every model serves and the session for quiet moments is open, if there is to be one."""
    port = None
    for line in server.stderr:
        entry = json.loads(line)
        if entry.get("message") == "listening":
            port = int(entry["http"].rsplit(":", 1)[1])
        if entry.get("message") == "ready":
            opened = threading.Event()
            # Somebody has to read on, or the server would wait for room in the pipe.
            threading.Thread(target=read_on, args=(opened,), daemon=True).start()
            opened.wait(15)
            return port
    sys.exit("the server did not start")


def read_on(opened):
    for line in server.stderr:
        if json.loads(line).get("message", "").startswith("a session of more threads was tried"):
            opened.set()


def call(port, seed, counts, until):
    """One caller: short and long, few and many, at random; refusals (429, 503, 504) count as answers."""
    chance = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    while time.monotonic() < until:
        texts = []
        for _ in range(int(MOST_TEXTS ** chance.random())):
            length = int(MOST_CHARACTERS ** chance.random())
            start = chance.randrange(len(words) - length)
            texts.append(words[start:start + length].strip() or "x")
        body = json.dumps({"text": texts, "do_fast": chance.random() < 0.5})
        connection.request("POST", "/predict", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        counts[answer.status] = counts.get(answer.status, 0) + 1


try:
    port = wait_for_ready()
    warm = memory_mb("VmRSS")
    until, counts = time.monotonic() + 60 * minutes, {}
    callers = [threading.Thread(target=call, args=(port, SEED + at, counts, until)) for at in range(CALLERS)]
    for caller in callers:
        caller.start()
    peak = warm
    while any(caller.is_alive() for caller in callers):
        time.sleep(0.5)
        peak = max(peak, memory_mb("VmRSS"))
    end = memory_mb("VmRSS")
    print(f"answers by status: {counts}")
    print(f"resident memory, MB: after warm-up {warm:.0f}, peak {peak:.0f}, end {end:.0f}; "
          f"highest ever, loading included, {memory_mb('VmHWM'):.0f}")
    print(f"end / after warm-up: {end / warm:.2f} (limit {LIMIT}); peak / after warm-up: {peak / warm:.2f}")
finally:
    server.send_signal(signal.SIGTERM)
    server.wait(timeout=60)
sys.exit(0 if 200 in counts and set(counts) <= {200, 429, 503, 504} and end <= LIMIT * warm else 1)
PYTHON
