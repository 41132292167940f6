"""A log that can't be written, or that nobody reads, and signals that come before anything else."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from h2raw import PREDICT, Connection
from inputs import request
from marks import judged
from server import ROOT

GRACE_S = 2


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def get(port, path):
    """The status of a page, and how long it took."""
    started = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, time.monotonic() - started


def until_ready(port, grpc):
    for _ in range(2000):
        try:
            if get(port, "/readyz")[0] == 200:
                # The gRPC port listens a moment later.
                return socket.create_connection(("127.0.0.1", grpc), 1).close()
        except OSError:
            pass
        time.sleep(0.01)
    raise SystemExit("the server does not get ready")


def started(options, models, stderr):
    shutil.copytree(f"{ROOT}/models/sentiment-fast", f"{models}/sentiment-fast")
    grpc, gateway = free_port(), free_port()
    command = [options.program, "serve", "--grpc-addr", f"127.0.0.1:{grpc}", "--http-addr", f"127.0.0.1:{gateway}"]
    command += ["--models", models, "--default-route", "fast", "--log-filter", "trace", "--drain-grace", f"{GRACE_S}s"]
    return subprocess.Popen(command, stderr=stderr), grpc, gateway


def unwritten(options, kind, stderr):
    """What a server does whose standard error is like that."""
    count = 300 if options.short else 3000
    with tempfile.TemporaryDirectory() as models:
        process, grpc, gateway = started(options, models, stderr)
        try:
            until_ready(gateway, grpc)
            connection = Connection(("127.0.0.1", grpc))
            bad = [connection.call(PREDICT, b"") for _ in range(count)]
            good = connection.call(PREDICT, request(b"a good film", 1))
            pages = [get(gateway, path) for path in ("/healthz", "/readyz", "/metrics")]
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            code = process.wait(GRACE_S + 20)
            took = time.monotonic() - began
        finally:
            process.kill()
            process.wait()
    slowest = max(seconds for _, seconds in pages) * 1000
    refused, fine = bad.count("failed"), all(status == 200 for status, _ in pages)
    told = f"{kind}: {refused} of {count} refused, then {good}, pages {'ok' if fine else 'failed'} within {slowest:.0f} ms, exit {code} after {took:.2f} s"
    as_ever = refused == count and good == "answered" and fine and code == 0
    return told, (f"{kind}: served as ever", as_ever), (f"{kind}: pages within 100 ms, exit in grace", slowest <= 100 and took <= GRACE_S)


def unwritten_log(options):
    """Standard error on a full disk, closed, and read by nobody: 3,000 bad calls, then a good one, pages within 100 ms, exit 0 in grace."""
    told = []
    with open("/dev/full", "w") as full:
        told.append(unwritten(options, "full", full))
    read, write = os.pipe()
    os.close(read)
    told.append(unwritten(options, "closed", write))
    os.close(write)
    read, write = os.pipe()
    told.append(unwritten(options, "stalled", write))
    os.close(read)
    os.close(write)
    texts, counts, figures = zip(*told)
    return judged(options, "; ".join(texts), counts, figures)


def early_signals(options):
    """SIGTERM at 50 moments from the first instant of the process to after it is ready: exit 0 or, before it could listen, its end by the signal; none hangs."""
    rounds = 10 if options.short else 50
    codes, longest = {}, 0.0
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as models:
            process, _, _ = started(options, models, subprocess.DEVNULL)
            time.sleep(number * 0.02)
            began = time.monotonic()
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGTERM)
            code = process.wait(GRACE_S + 20)
            longest = max(longest, time.monotonic() - began)
            codes[code] = codes.get(code, 0) + 1
    told = f"{rounds} ends, exit codes {codes}, the longest took {longest:.2f} s"
    return judged(options, told, [("exit 0, or by a signal", codes.keys() <= {0, -signal.SIGHUP, -signal.SIGTERM})])


ROWS = [unwritten_log, early_signals]
