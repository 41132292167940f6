#!/usr/bin/env python3
"""Rows of the scoreboard that need no more than the standard library: each prints its figure beside what passes.

    tools/scoreboard/rows.py [--short] [--program PROGRAM] [ROW ...]

Without a ROW, all. The server is the release build unless told otherwise; it has the fast model alone. --short is the form that
the tests run: small counts, no waiting for time limits. Figures of time say little on a busy machine. Exits 1 only if a row
breaks off, not if it misses its mark.
"""

import argparse
import contextlib
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from h2raw import CHECK, DATA, END_HEADERS, HEADERS, PING, PREDICT, RST_STREAM, SETTINGS, WATCH, Connection, frame, headers

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
# PredictRequest { texts: ["a good film"], route: ROUTE_FAST }
BODY = b"\x0a\x0ba good film"


class Server:
    def __init__(self, program, *flags, files=None):
        self.models = tempfile.TemporaryDirectory()
        os.symlink(f"{ROOT}/models/sentiment-fast", f"{self.models.name}/sentiment-fast")
        command = [program, "serve", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--log-format", "json"]
        command += ["--models", self.models.name, "--default-route", "fast", *flags]
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=limit)
        self.lines = []
        while True:
            line = self.process.stderr.readline()
            if not line:
                raise SystemExit(f"the server ended: {self.lines}")
            self.lines.append(line)
            entry = json.loads(line)
            if entry.get("message") == "listening":
                split = lambda key: (entry[key].rsplit(":", 1)[0], int(entry[key].rsplit(":", 1)[1]))
                self.grpc, self.http = split("grpc"), split("http")
            if entry.get("message") == "ready":
                break
        threading.Thread(target=self.drain_log, daemon=True).start()

    def drain_log(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def memory_mb(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.models.cleanup()


def check(server):
    """How long a new client waits for an answer, in milliseconds."""
    started = time.monotonic()
    outcome = Connection(server.grpc).call(CHECK)
    assert outcome == "answered", outcome
    return (time.monotonic() - started) * 1000


def p99(server, calls):
    connection = Connection(server.grpc)
    took = []
    for _ in range(calls):
        started = time.monotonic()
        assert connection.call(CHECK) == "answered"
        took.append((time.monotonic() - started) * 1000)
    return statistics.quantiles(took, n=100)[98]


def silent(options):
    """2,000 silent TCP connections: all closed in 10 s, a new client served within 100 ms."""
    count = 200 if options.short else 2000
    with Server(options.program, "--max-connections", str(count // 2)) as server:
        started = time.monotonic()
        peers = [socket.create_connection(server.grpc) for _ in range(count)]
        waited = check(server)
        closed = 0
        for peer in peers:
            peer.settimeout(30)
            with contextlib.suppress(ConnectionError):
                while peer.recv(4096):
                    pass
            closed += 1
        took = time.monotonic() - started
    return f"{closed} of {count} closed after {took:.1f} s, new client served in {waited:.0f} ms"


def half_open(options):
    """50,000 half-open streams on one connection: at most +10 MB."""
    count = 2000 if options.short else 50_000
    with Server(options.program) as server:
        check(server)
        before = server.memory_mb()
        connection = Connection(server.grpc)
        reader = threading.Thread(target=lambda: [None for _ in iter(connection.read, None)], daemon=True)
        reader.start()
        for stream in range(1, 2 * count, 2):
            connection.send(frame(HEADERS, END_HEADERS, stream, headers(PREDICT)))
        after = max(server.memory_mb() for _ in range(20) if not time.sleep(0.05))
        waited = check(server)
    return f"{count} streams: {after - before:+.1f} MB, new client served in {waited:.0f} ms"


def flood(server, pieces, total, calls):
    """Sends `pieces` over connections that are opened again when the server ends them, while another client asks."""
    quiet, before = p99(server, calls), server.memory_mb()
    sent, peak, opened, done = 0, before, 0, threading.Event()

    def run():
        nonlocal sent, opened
        while sent < total:
            connection = Connection(server.grpc)
            opened += 1
            threading.Thread(target=lambda: [None for _ in iter(connection.read, None)], daemon=True).start()
            try:
                for start in range(0, 1_000_000, 100):
                    if sent >= total:
                        break
                    connection.socket.sendall(b"".join(pieces(1 + 2 * at) for at in range(start, start + 100)))
                    sent += 100
            except OSError:
                pass
            connection.socket.close()
        done.set()

    threading.Thread(target=run, daemon=True).start()
    worst = []
    while not done.is_set():
        worst.append(p99(server, calls))
        peak = max(peak, server.memory_mb())
    loud = statistics.median(worst) if worst else quiet
    return (
        f"{sent} sent over {opened} connections: p99 {quiet:.1f} ms → {loud:.1f} ms ({loud / quiet:.1f} ×), "
        f"{peak - before:+.1f} MB"
    )


def resets(options):
    """1,000,000 rapid resets: other client's p99 < 3 ×, at most +5 MB."""
    piece = lambda stream: frame(HEADERS, END_HEADERS, stream, headers(PREDICT)) + frame(RST_STREAM, 0, stream, b"\0\0\0\x08")
    with Server(options.program) as server:
        return flood(server, piece, 10_000 if options.short else 1_000_000, 100)


def settings(options):
    """A flood of SETTINGS: the same marks."""
    with Server(options.program) as server:
        return flood(server, lambda _: frame(SETTINGS), 10_000 if options.short else 1_000_000, 100)


def pings(options):
    """A flood of PING: the same marks."""
    with Server(options.program) as server:
        return flood(server, lambda _: frame(PING, 0, 0, b"12345678"), 10_000 if options.short else 1_000_000, 100)


def slow_headers(options):
    """200 connections with slow headers on the gateway: none held over 15 s."""
    count = 20 if options.short else 200
    flags = ["--header-timeout", "1s"] if options.short else []
    with Server(options.program, *flags) as server:
        started = time.monotonic()
        peers = [socket.create_connection(server.http) for _ in range(count)]
        for peer in peers:
            peer.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-slow: ")
            peer.setblocking(False)
        held = 0.0
        while peers and time.monotonic() - started < 60:
            time.sleep(0.25)
            for peer in list(peers):
                try:
                    if not peer.recv(4096):
                        raise ConnectionError
                except BlockingIOError:
                    pass
                except ConnectionError:
                    held = time.monotonic() - started
                    peers.remove(peer)
                    continue
                with contextlib.suppress(OSError):
                    peer.send(b"a")
    return f"{count - len(peers)} of {count} closed, the last after {held:.1f} s"


def descriptors(options):
    """File descriptors exhausted for 10 s: CPU at most 5 %, back within 1 s."""
    lasts = 1 if options.short else 10
    with Server(options.program, "--handshake-timeout", "10m", files=128) as server:
        peers = [socket.create_connection(server.grpc) for _ in range(200)]
        time.sleep(0.3)
        before = server.cpu_seconds()
        time.sleep(lasts)
        cpu = (server.cpu_seconds() - before) / lasts * 100
        for peer in peers:
            peer.close()
        back = check(server)
        told = sum("can't accept" in line for line in server.lines)
    return f"{cpu:.1f} % of a core, back after {back:.0f} ms, {told} lines in the log"


def drain(options):
    """SIGTERM under load, direct clients, 20 times: no accepted call lost, exit within grace + 0.2 s."""
    rounds, grace = (2 if options.short else 20), 5.0
    outcomes, longest, codes = {}, 0.0, set()
    for _ in range(rounds):
        with Server(options.program, "--drain-grace", f"{grace:.0f}s") as server:
            lock = threading.Lock()

            def ask():
                connection = Connection(server.grpc)
                while True:
                    outcome = connection.call(PREDICT, BODY)
                    with lock:
                        outcomes[outcome] = outcomes.get(outcome, 0) + 1
                    if outcome != "answered" or connection.last_taken is not None:
                        return

            clients = [threading.Thread(target=ask) for _ in range(8)]
            for client in clients:
                client.start()
            time.sleep(0.3)
            started = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            codes.add(server.process.wait(grace + 10))
            longest = max(longest, time.monotonic() - started)
            for client in clients:
                client.join()
    return f"{rounds} times: {outcomes}, longest end {longest:.2f} s of {grace + 0.2:.1f} s, exit codes {codes}"


def stubborn(options):
    """SIGTERM with Watch, silent TCP and a mute peer open: exit within grace; NOT_SERVING within 10 ms, Watch told, closed."""
    grace = 30
    with Server(options.program, "--drain-grace", f"{grace}s") as server:
        silent_peer = socket.create_connection(server.grpc)
        mute = Connection(server.grpc)
        mute.call(CHECK)
        watch = Connection(server.grpc)
        stream = watch.start(WATCH, b"")
        while watch.read()[0] != DATA:
            pass
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        told = None
        while True:
            found = watch.read()
            if found is None:
                break
            if found[0] == DATA and found[2] == stream and found[3].endswith(b"\x08\x02"):
                told = (time.monotonic() - started) * 1000
        code = server.process.wait(grace + 10)
        took = time.monotonic() - started
        silent_peer.close()
    said = "never" if told is None else f"after {told:.1f} ms"
    return f"Watch told NOT_SERVING {said}, exit {code} after {took:.2f} s of {grace} s"


ROWS = {row.__name__: row for row in (silent, half_open, resets, settings, pings, slow_headers, descriptors, drain, stubborn)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--program", default=f"{os.environ.get('CARGO_TARGET_DIR', ROOT + '/target')}/release/tandem")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    for name in options.rows or ROWS:
        print(f"{name}: {ROWS[name](options)}\n    {ROWS[name].__doc__}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
