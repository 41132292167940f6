"""What holds room at the doors and gives nothing for it: messages that never end, names, prefaces, answers that nobody reads.

Each row tells what another client with a key felt meanwhile, and what memory was left ten seconds later.
"""

import gzip
import http.client
import json
import multiprocessing
import os
import struct
import threading
import time

from floods import p99
from h2raw import CHECK, DATA, END_HEADERS, END_STREAM, HEADERS, PREDICT, SETTINGS, STREAM, WATCH, WINDOW_UPDATE, Connection, data, frame, headers, literal, message
from marks import judged
from server import Server

GOOD, EVIL = "good-0123456789abcdef", "evil-0123456789abcdef"
KEYS = {"TANDEM_TOKENS": f"good:{GOOD},evil:{EVIL}"}
REFLECTION = b"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
# Large enough not to fit beside what fills a room to the last frame.
TEXT = b"\x0a\x80\x7d" + b"a" * 16_000
PIECE = 16_384
# As many as the hardened profile lets one connection have.
STREAMS = 60


def bearer(token):
    return [(b"authorization", b"Bearer " + token.encode())] if token else []


class Half:
    """A connection that begins calls and does not end them, as fast as the server grants it."""

    def __init__(self, address):
        self.connection = Connection(address, timeout=30)
        self.window, self.open, self.granted = 65_535, True, threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for kind, _, stream, payload in iter(self.connection.read, None):
            if kind == WINDOW_UPDATE and stream == 0:
                with self.granted:
                    self.window += int.from_bytes(payload[:4], "big")
                    self.granted.notify()
        with self.granted:
            self.open = False
            self.granted.notify()

    def begin(self, path, token, declared, size):
        """Sends the head of a message and so much of it; how much went out."""
        stream, self.connection.next_stream = self.connection.next_stream, self.connection.next_stream + 2
        self.connection.send(frame(HEADERS, END_HEADERS, stream, headers(path, *bearer(token))))
        body, sent = b"\0" + struct.pack(">I", declared) + b"\x0a" * size, 0
        while sent < len(body):
            piece = body[sent : sent + PIECE]
            with self.granted:
                self.granted.wait_for(lambda: self.window >= len(piece) or not self.open, 1)
                if self.window < len(piece) or not self.open:
                    self.open = False
                    return sent
                self.window -= len(piece)
            self.connection.send(frame(DATA, 0, stream, piece))
            sent += len(piece)
        return sent


def begin_many(address, path, token, connections, total, ready, result):
    """Begins calls on so many connections, or as few as it takes, until so many bytes went out, and holds them for a while."""
    os.nice(19)
    ready.wait()
    # More on a stream would need its own window.
    size = min(900_000, total // (connections * STREAMS))
    held, sent, until = [], 0, time.monotonic() + 20
    while sent < total and time.monotonic() < until:
        half = Half(address)
        held.append(half)
        share = sent + total // connections
        while half.open and sent < min(share, total) and half.connection.next_stream < 2 * STREAMS:
            sent += half.begin(path, token, 4_000_000, size)
    # What was refused left a gap: smaller ones fill it.
    for size in (65_536, 8_192):
        half = Half(address)
        held.append(half)
        while half.open and half.connection.next_stream < 2 * STREAMS:
            sent += half.begin(path, token, 4_000_000, size)
    time.sleep(2)
    result.send((sent, len(held)))


class Felt:
    """What a client with a key felt until `enough`: health checks in ms, calls at both doors in ms, and how many were not answered."""

    def __init__(self, server, enough, least):
        self.health, self.calls, self.lost = [], [], 0
        check, predict = Connection(server.grpc), Connection(server.grpc)
        gateway = http.client.HTTPConnection(*server.http, timeout=30)
        body = json.dumps({"text": "a" * 16_000, "do_fast": True})
        head = {"content-type": "application/json", "authorization": f"Bearer {GOOD}"}
        while len(self.calls) < least or not enough():
            started = time.monotonic()
            outcome = check.call(CHECK)
            self.health.append((time.monotonic() - started) * 1000)
            self.lost += outcome != "answered"
            started = time.monotonic()
            predict.send(frame(HEADERS, END_HEADERS, predict.next_stream, headers(PREDICT, *bearer(GOOD))) + data(predict.next_stream, message(TEXT)))
            self.lost += finish(predict) != "answered"
            self.calls.append((time.monotonic() - started) * 1000)
            gateway.request("POST", "/predict", body, head)
            answer = gateway.getresponse()
            answer.read()
            self.lost += answer.status != 200


def finish(connection):
    """Reads to the end of the call that was begun."""
    stream, connection.next_stream = connection.next_stream, connection.next_stream + 2
    got = False
    for kind, flags, of, payload in iter(connection.read, None):
        if of == stream:
            got = got or (kind == DATA and bool(payload))
            if flags & END_STREAM and kind in (DATA, HEADERS):
                return "answered" if got else "failed"
    return "lost"


def told(options, what, server, quiet, before, felt, most_mb=float("inf")):
    peak = server.peak_mb()
    if not options.short:
        time.sleep(10)
    after = server.memory_mb()
    figures = [
        ("health within 100 ms", max(felt.health) <= 100),
        ("p99 below 3 ×", p99(felt.calls) < 3 * quiet),
        ("memory below 1.2 ×", after < 1.2 * before),
        (f"at most {most_mb} MB", peak <= most_mb),
    ]
    return judged(
        options,
        f"{what}: {felt.lost} of {3 * len(felt.calls)} calls of another client not answered, p99 {quiet:.1f} → {p99(felt.calls):.1f} ms "
        f"({p99(felt.calls) / quiet:.1f} ×), health at most {max(felt.health):.0f} ms; memory {before:.0f} MB, at most {peak:.0f}, "
        f"then {after:.0f} ({after / before:.2f} ×)",
        [("all calls answered", felt.lost == 0)],
        figures,
    )


def quiet_time(server, options):
    least = 30 if options.short else 500
    felt = Felt(server, lambda: True, least)
    server.forget_peak()
    return p99(felt.calls), server.memory_mb(), least


def bodies(options, path, token, connections, *flags):
    total = 4_000_000 if options.short else 150_000_000
    with Server(options.program, *flags, environment=KEYS) as server:
        quiet, before, least = quiet_time(server, options)
        ready, (receiver, sender) = multiprocessing.Event(), multiprocessing.Pipe(duplex=False)
        attacker = multiprocessing.Process(target=begin_many, args=(server.grpc, path, token, connections, total, ready, sender), daemon=True)
        attacker.start()
        ready.set()
        felt = Felt(server, receiver.poll, least)
        sent, held = receiver.recv()
        attacker.terminate()
        attacker.join()
        return told(options, f"{sent / 1e6:.0f} MB on {held} connections", server, quiet, before, felt)


def keyless_bodies(options):
    """150 MB of messages that do not end, on Watch, without a key, hardened: all calls answered, health within 100 ms, p99 < 3 ×, memory < 1.2 ×."""
    return bodies(options, WATCH, None, 1, "--profile", "hardened")


def stream_bodies(options):
    """The same on PredictStream, with a key: the same marks."""
    return bodies(options, STREAM, EVIL, 1, "--profile", "hardened")


def many_bodies(options):
    """The same on Predict over 50 connections with one key: the same marks."""
    return bodies(options, PREDICT, EVIL, 50)


def reflection_bodies(options):
    """The same on reflection, with a key: the same marks."""
    return bodies(options, REFLECTION, EVIL, 1)


def watch_names(options):
    """Watch on 250 names of 4,000 bytes on each of 20 connections, without a key: the same marks."""
    connections, names = (2, 20) if options.short else (20, 250)
    with Server(options.program, environment=KEYS) as server:
        quiet, before, least = quiet_time(server, options)
        body, held = b"\x0a" + bytes([0xA0, 0x1F]) + b"n" * 4000, []
        for _ in range(connections):
            connection = Connection(server.grpc)
            reader = threading.Thread(target=lambda peer=connection: [None for _ in iter(peer.read, None)], daemon=True)
            reader.start()
            for _ in range(names):
                connection.start(WATCH, body)
            held.append(connection)
        felt = Felt(server, lambda: True, least)
        for connection in held:
            connection.socket.shutdown(2)
        return told(options, f"{connections * names} names", server, quiet, before, felt)


def prefaces(options):
    """50 connections with HTTP/2's preface alone fill `max_connections`: a client with a key is served within 100 ms, all closed in 10 s."""
    with Server(options.program, "--max-connections", "50", environment=KEYS) as server:
        started = time.monotonic()
        peers = [Connection(server.grpc) for _ in range(50)]
        asked = time.monotonic()
        client = Connection(server.grpc)
        client.send(frame(HEADERS, END_HEADERS, 1, headers(PREDICT, *bearer(GOOD))) + data(1, message(TEXT)))
        outcome, waited = finish(client), (time.monotonic() - asked) * 1000
        for peer in [] if options.short else peers:
            for _ in iter(peer.read, None):
                pass
        took = time.monotonic() - started
    found = f"{outcome} after {waited:.0f} ms" + ("" if options.short else f", all 50 closed after {took:.1f} s")
    return judged(options, found, [("answered", outcome == "answered")], [("within 100 ms", waited <= 100), ("closed in 10 s", took <= 10)])


def unread_answers(options):
    """1,000 calls of the gateway that echo 2 MB each, gzip, none of which is read: the same marks, and less than 200 MB."""
    connections, calls = (1, 30) if options.short else (4, 250)
    texts = ["a" * 16_000] * 128
    body = gzip.compress(json.dumps({"text": texts, "do_fast": True}).encode())
    with Server(options.program, environment=KEYS) as server:
        quiet, before, least = quiet_time(server, options)
        held, sent, done = [], 0, threading.Event()
        fields = literal(4, b"/predict") + literal(1, b"localhost") + literal(31, b"application/json") + literal(26, b"gzip")
        block = b"\x83\x86" + fields + b"".join(literal(*one) for one in bearer(EVIL))

        def attack():
            nonlocal sent
            for _ in range(connections):
                peer = Connection(server.http)
                threading.Thread(target=lambda peer=peer: [None for _ in iter(peer.read, None)], daemon=True).start()
                peer.send(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0)))
                held.append(peer)
                for stream in range(1, 2 * calls, 2):
                    octets = frame(HEADERS, END_HEADERS, stream, block) + data(stream, body)
                    peer.send(octets)
                    sent += len(octets)
            time.sleep(0 if options.short else 5)
            done.set()

        threading.Thread(target=attack, daemon=True).start()
        felt = Felt(server, done.is_set, least)
        for peer in held:
            peer.socket.shutdown(2)
        return told(options, f"{connections * calls} calls, {sent / 1e6:.1f} MB sent", server, quiet, before, felt, 200)


ROWS = [keyless_bodies, stream_bodies, many_bodies, reflection_bodies, watch_names, prefaces, unread_answers]
