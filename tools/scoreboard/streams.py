"""PredictStream: readers that stop, and many small requests on one stream, at any pace."""

import multiprocessing
import os
import shutil
import struct
import subprocess
import time
import urllib.request

from floods import latencies, p99
from h2raw import DATA, END_HEADERS, HEADERS, PREDICT, SETTINGS, STREAM, Connection, frame, headers, message
from inputs import grpcio, request, varint
from marks import judged
from peers import install_grpc_js
from server import ROOT, Server

# Nothing may be sent as an answer: SETTINGS_INITIAL_WINDOW_SIZE is 0.
NO_WINDOW = frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0))
WINDOW = 65_535


def asked(name, text, route):
    """PredictStreamRequest { id, request }"""
    inner = request(text, route)
    return b"\x0a" + varint(len(name)) + name + b"\x12" + varint(len(inner)) + inner


def id_of(answer):
    return answer[2 : 2 + answer[1]]


def gauge(server, name):
    metrics = urllib.request.urlopen("http://%s:%d/metrics" % server.http, timeout=60).read().decode()
    return next(float(line.split()[1]) for line in metrics.splitlines() if line.startswith(name + " "))


def stopped_readers(options):
    """2 connections of 100 streams that read nothing, each with as many requests as its window takes and 1 s of time, the cache on: others are answered throughout, for the same texts, and nothing is held once the time is over."""
    connections, streams = (1, 10) if options.short else (2, 100)
    texts = [b"text %d " % at * 20 for at in range(64)]
    frames = [frame(DATA, 0, 0, message(asked(b"%d" % at, text, 1))) for at, text in enumerate(texts)]
    with Server(options.program, "--cache-bytes", "1000000") as server:
        other = Connection(server.grpc)
        before, quiet = server.memory_mb(), p99(latencies(other, lambda took: len(took) >= 200))
        server.forget_peak()
        peers = [Connection(server.grpc) for _ in range(connections)]
        for peer in peers:
            peer.send(NO_WINDOW)
            for stream in range(1, 2 * streams, 2):
                body = b"".join(one[:5] + struct.pack(">I", stream) + one[9:] for one in frames)
                timeout = [(b"grpc-timeout", b"1S")]
                peer.send(frame(HEADERS, END_HEADERS, stream, headers(STREAM, *timeout)) + body)
        started = time.monotonic()
        outcomes, waits = [], []
        while time.monotonic() - started < 2 or len(outcomes) < 64:
            asked_at = time.monotonic()
            outcomes.append(other.call(PREDICT, request(texts[len(outcomes) % 64], 1)))
            waits.append(time.monotonic() - asked_at)
        # Connections that take no answers are cut after a minute.
        limit = 60 if options.short else 70
        while (held := gauge(server, "tandem_inflight_body_bytes")) > 0 and time.monotonic() - started < limit:
            time.sleep(0.05)
        empty = time.monotonic() - started
        whole = other.call(PREDICT, b"".join(b"\x0a" + varint(len(text)) + text for text in texts) + b"\x20\x01")
        peak = server.peak_mb()
    answered = outcomes.count("answered")
    return judged(
        options,
        f"{answered} of {len(outcomes)} others answered, the slowest in {max(waits) * 1000:.0f} ms (health before: p99 {quiet:.1f} ms), "
        f"nothing held after {empty:.1f} s, 64 texts at once {whole}, {peak - before:+.1f} MB",
        [("others answered", answered == len(outcomes)), ("64 texts at once", whole == "answered")],
        [("nothing held", held == 0)],
    )


def unread_frames(options):
    """One connection fills the windows of 256 streams that wait for their reader with frames of 13 bytes: it costs less than 30 MB, and all is given back."""
    streams = 16 if options.short else 256
    small = message(asked(b"1", b"a", 1))
    with Server(options.program) as server:
        before = server.memory_mb()
        server.forget_peak()
        peer = Connection(server.grpc)
        peer.send(NO_WINDOW)
        for stream in range(1, 2 * streams, 2):
            peer.send(frame(HEADERS, END_HEADERS, stream, headers(STREAM)))
            peer.send(frame(DATA, 0, stream, small) * (WINDOW // len(small)))
        other = Connection(server.grpc)
        latencies(other, lambda took: len(took) >= 200)
        time.sleep(1)
        during = server.peak_mb()
        peer.socket.close()
        time.sleep(1 if options.short else 10)
        after = server.memory_mb()
    told = f"{before:.0f} MB before, {during:.0f} MB at most, {after:.0f} MB after"
    # Some of it stays with the allocator.
    return judged(options, told, [], [("below +30 MB", during < before + 30), ("given back", after < before + 10)])


def spin():
    while True:
        pass


def stream_of(grpc, channel, total, route, pace):
    """How a stream of `total` small requests ended; its reader has a pace of its own."""
    send = channel.stream_stream(f"/{STREAM.decode().strip('/')}")
    requests = (asked(b"%d" % at, b"text %d" % (at % 1000), route) for at in range(total))
    seen = set()
    try:
        for answer in send(requests, timeout=1800):
            seen.add(id_of(answer))
            if pace == "slow" and len(seen) % 500 == 0:
                time.sleep(0.02)
            if pace == "stops" and len(seen) == total // 4:
                time.sleep(5)
    except grpc.RpcError as error:
        return f"{len(seen)} of {total}, then {error.code().name}: {error.details()}"
    return "all" if len(seen) == total else f"{len(seen)} of {total}"


def pipelining(options):
    """100,000 small requests on one stream (20,000 on the deep model), by grpcio and grpc-js, on a busy machine, its reader fast, slow, or resting: all answered. 16 streams of 10,000 on one connection too."""
    grpc = grpcio()
    from concurrent.futures import ThreadPoolExecutor

    fast, deep, many = (3000, 300, 500) if options.short else (100_000, 20_000, 10_000)
    models = ("sentiment-fast", "sentiment-deep")
    busy = [] if options.short else [multiprocessing.Process(target=spin, daemon=True) for _ in range(os.cpu_count() or 1)]
    found = {}
    with Server(options.program, "--max-timeout", "30m", "--default-timeout", "30m", models=models) as server:
        for process in busy:
            process.start()
        try:
            address = "%s:%d" % server.grpc
            for name, total, route, pace in [
                ("fast", fast, 1, "fast"),
                ("a slow reader", fast, 1, "slow"),
                ("a reader that rests", fast, 1, "stops"),
                ("deep", deep, 2, "fast"),
            ]:
                with grpc.insecure_channel(address) as channel:
                    found[name] = stream_of(grpc, channel, total, route, pace)
            with grpc.insecure_channel(address) as channel, ThreadPoolExecutor(16) as threads:
                paces = ["fast", "slow", "stops", "fast"] * 4
                ends = list(threads.map(lambda pace: stream_of(grpc, channel, many, 1, pace), paces))
                found["streams on one connection"] = f"{ends.count('all')} of 16" + "".join(f"; {end}" for end in set(ends) - {"all"})
            if shutil.which("npm"):
                folder = install_grpc_js()
                command = ["node", "client.js", f"{ROOT}/proto", address, str(fast)]
                done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1800)
                found["grpc-js"] = done.stdout.strip() or done.stderr.strip()[:300]
        finally:
            for process in busy:
                process.kill()
    told = "; ".join(f"{name}: {end}" for name, end in found.items())
    return judged(options, told, [(f"{name}: all", end in ("all", "16 of 16")) for name, end in found.items()])


ROWS = [stopped_readers, unread_frames, pipelining]
