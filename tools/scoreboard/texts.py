"""Texts that are hard to preprocess: what another client feels of calls full of them.

The attackers are processes of their own with the lowest priority, as for the floods. Their control sends ordinary texts of as
many tokens: what is left of the difference is what preprocessing adds.
"""

import multiprocessing
import os
import statistics
import threading
import time

from h2raw import CHECK, PREDICT, Connection
from inputs import grpcio, request, varint
from marks import judged
from server import Server

ATTACKERS = 6
BYTES = 8192
# PredictRequest { priority: interactive }
INTERACTIVE = b"\x58\x01"


def hard_kinds():
    """Each was slow for one step of a tokenizer or another."""
    units = {
        "99 letters and a stop": "q" * 99 + ".",
        "words that end in an unknown letter": "q" * 98 + "\U00012000 ",
        "Hangul words": "가나다라마바사아자차" * 9 + " ",
        "punctuation": ".",
        "combining marks": "e\u0301\u0323",
    }
    return {kind: unit.encode() * (BYTES // len(unit.encode())) for kind, unit in units.items()}


def ordinary():
    return "정말 재미있고 감동적인 최고의 영화, ".encode() * 12


def call_of(text, texts):
    """PredictRequest { texts, route: deep }"""
    return (b"\x0a" + varint(len(text)) + text) * texts + b"\x20\x02"


def attack(address, message, ready, begin, end, answered):
    """Sends calls one after the other, whatever comes of them, until told to end."""
    os.nice(19)
    grpc = grpcio()
    with grpc.insecure_channel("%s:%d" % address, options=[("grpc.max_send_message_length", -1)]) as channel:
        predict = channel.unary_unary(PREDICT.decode())
        grpc.channel_ready_future(channel).result(60)
        ready.release()
        begin.wait()
        while not end.is_set():
            # With a shorter deadline it would be refused on arrival.
            call = predict.future(message, timeout=60)
            while not call.done() and not end.wait(0.05):
                pass
            call.cancel()
            with answered.get_lock():
                answered.value += call.code() == grpc.StatusCode.OK


def watch_health(address, end, took):
    connection = Connection(address)
    while not end.is_set():
        started = time.monotonic()
        outcome = connection.call(CHECK)
        assert outcome == "answered", outcome
        took.append((time.monotonic() - started) * 1000)
        time.sleep(0.02)


def calls(server, count):
    """What interactive calls of one ordinary text of some length take, in milliseconds, and how many failed."""
    grpc = grpcio()
    message = request(ordinary(), 2) + INTERACTIVE
    took, failed = [], 0
    with grpc.insecure_channel("%s:%d" % server.grpc) as channel:
        predict = channel.unary_unary(PREDICT.decode())
        for _ in range(count):
            started = time.monotonic()
            try:
                predict(message, timeout=10)
            except grpc.RpcError:
                failed += 1
            took.append((time.monotonic() - started) * 1000)
    return took, failed


def under(server, message, count):
    """The same while calls of `message` come over six connections; the slowest health check, and how many of those calls were answered."""
    # grpcio has run in this process: a copy of it would hang.
    processes = multiprocessing.get_context("spawn")
    ready, begin, end, answered = processes.Semaphore(0), processes.Event(), processes.Event(), processes.Value("i", 0)
    arguments = (server.grpc, message, ready, begin, end, answered)
    attackers = [processes.Process(target=attack, args=arguments, daemon=True) for _ in range(ATTACKERS)]
    for attacker in attackers:
        attacker.start()
    health = []
    watcher = threading.Thread(target=watch_health, args=(server.grpc, end, health), daemon=True)
    watcher.start()
    for _ in attackers:
        ready.acquire()
    begin.set()
    time.sleep(1)
    took, failed = calls(server, count)
    end.set()
    for process in attackers:
        process.join(60)
    watcher.join(60)
    return took, failed, max(health), answered.value


def p99(took):
    return statistics.quantiles(took, n=100, method="inclusive")[98]


def hard_texts(options):
    """128 × 8 KB hard texts for the deep model over each of 6 connections: another client's interactive calls all answered, p99 below 3 × that beside ordinary texts; health ≤ 100 ms."""
    # The short form runs a debug build.
    texts, count, kinds = (16, 5, 1) if options.short else (128, 200, 9)
    told, counts, figures = [], [], []
    with Server(options.program, models=("sentiment-fast", "sentiment-deep")) as server:
        calls(server, count)
        quiet = p99(calls(server, count)[0])
        took, _, _, _ = under(server, call_of(ordinary(), texts), count)
        beside = p99(took)
        for kind, text in list(hard_kinds().items())[:kinds]:
            took, failed, health, answered = under(server, call_of(text, texts), count)
            found = p99(took)
            told.append(
                f"{kind}: {failed} of {count} failed, p99 {found:.0f} ms ({found / beside:.1f} ×), health at most {health:.0f} ms, "
                f"{answered} hard calls answered"
            )
            counts.append((f"{kind}: none failed", failed == 0))
            figures += [(f"{kind}: p99 below 3 ×", found < 3 * beside), (f"{kind}: health within 100 ms", health <= 100)]
    return judged(options, f"quiet p99 {quiet:.0f} ms, beside ordinary texts {beside:.0f} ms; " + "; ".join(told), counts, figures)


ROWS = [hard_texts]
