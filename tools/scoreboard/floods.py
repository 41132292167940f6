"""Floods of small frames: what another client feels of them, and what they cost in memory.

The attacker is a process of its own with the lowest priority: an attack comes from elsewhere and does not take the server's
processor with what it costs the attacker. Its control sends the same to a process that throws it away.
"""

import multiprocessing
import os
import socket
import statistics
import threading
import time

from h2raw import CHECK, CONTINUATION, HEADERS, END_HEADERS, PING, PREDICT, RST_STREAM, SETTINGS, Connection, frame, headers, literal
from marks import judged
from server import Server

CHUNK = 100


def reset(stream):
    return frame(HEADERS, END_HEADERS, stream, headers(PREDICT)) + frame(RST_STREAM, 0, stream, b"\0\0\0\x08")


def setting(_):
    return frame(SETTINGS)


def ping(_):
    return frame(PING, 0, 0, b"12345678")


def continuation(stream):
    """The first frame of a flood opens a block of headers that never ends."""
    if stream == 1:
        return frame(HEADERS, 0, stream, headers(PREDICT))
    return frame(CONTINUATION, 0, 1, literal(b"x", b"y" * 30))


def attack(address, piece, total, niceness, ready, result):
    """Sends `total` pieces, over connections that are opened again when the server ends them, and waits until all were read."""
    os.nice(niceness)
    ready.wait()
    sent = opened = 0
    while sent < total:
        connection = Connection(address)
        opened += 1
        reader = threading.Thread(target=swallow, args=(connection.socket,), daemon=True)
        reader.start()
        try:
            for start in range(0, total - sent, CHUNK):
                connection.socket.sendall(b"".join(piece(1 + 2 * at) for at in range(start, start + CHUNK)))
                sent += CHUNK
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        reader.join(60)
        connection.socket.close()
    result.send((sent, opened))


def swallow(peer):
    try:
        while peer.recv(1 << 16):
            pass
    except OSError:
        pass


def sink(listener):
    """Takes what comes and throws it away."""
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=lambda peer=peer: (swallow(peer), peer.close()), daemon=True).start()


def latencies(connection, enough):
    """What calls take, in milliseconds, until there are enough."""
    took = []
    while not enough(took):
        started = time.monotonic()
        outcome = connection.call(CHECK)
        assert outcome == "answered", outcome
        took.append((time.monotonic() - started) * 1000)
    return took


def p99(took):
    return statistics.quantiles(took, n=100)[98]


class Attack:
    """What another client felt of it, and what it cost."""

    def __init__(self, server, client, address, piece, total, niceness):
        ready = multiprocessing.Event()
        receiver, sender = multiprocessing.Pipe(duplex=False)
        attacker = multiprocessing.Process(target=attack, args=(address, piece, total, niceness, ready, sender), daemon=True)
        attacker.start()
        time.sleep(0.3)
        started, cpu = time.monotonic(), server.cpu_seconds()
        server.forget_peak()
        ready.set()
        took = latencies(client, lambda took: len(took) >= 200 and receiver.poll())
        self.lasted = time.monotonic() - started
        self.cpu = server.cpu_seconds() - cpu
        self.sent, self.opened = receiver.recv()
        self.p99, self.worst, self.peak = p99(took), max(took), server.peak_mb()
        attacker.join()


def flood(options, piece):
    # The short form measures nothing, and should not wait for a busy machine.
    total, calls, niceness = (10_000, 200, 0) if options.short else (1_000_000, 10_000, 19)
    with socket.create_server(("127.0.0.1", 0)) as listener, Server(options.program) as server:
        listening = multiprocessing.Process(target=sink, args=(listener,), daemon=True)
        listening.start()
        client = Connection(server.grpc)
        latencies(client, lambda took: len(took) >= calls)
        quiet, before = p99(latencies(client, lambda took: len(took) >= calls)), server.memory_mb()
        control = Attack(server, client, listener.getsockname(), piece, total, niceness)
        real = Attack(server, client, server.grpc, piece, total, niceness)
        listening.terminate()
    return judged(
        options,
        f"{real.sent} sent over {real.opened} connections in {real.lasted:.1f} s: p99 {quiet:.2f} ms → {real.p99:.2f} ms "
        f"({real.p99 / quiet:.1f} ×; {control.p99:.2f} ms while the same goes elsewhere), the longest {real.worst:.0f} ms, "
        f"{real.cpu:.1f} s of processor, {real.peak - before:+.1f} MB",
        [("all sent", real.sent == total)],
        [("p99 below 3 ×", real.p99 < 3 * quiet), ("at most +5 MB", real.peak - before <= 5)],
    )


def resets(options):
    """1,000,000 rapid resets: other client's p99 < 3 ×, at most +5 MB."""
    return flood(options, reset)


def settings(options):
    """A flood of SETTINGS: the same marks."""
    return flood(options, setting)


def pings(options):
    """A flood of PING: the same marks."""
    return flood(options, ping)


def continuations(options):
    """A flood of CONTINUATION: the same marks."""
    return flood(options, continuation)


ROWS = [resets, settings, pings, continuations]
