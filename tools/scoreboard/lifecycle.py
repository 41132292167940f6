"""Starts, ends and changes while calls are running: none of them may fail a call that was accepted."""

import contextlib
import os
import signal
import socket
import tempfile
import threading
import time
import urllib.request

from connections import certificate, certificates
from h2raw import CHECK, DATA, END_HEADERS, HEADERS, PREDICT, STREAM, WATCH, Connection, frame, headers
from inputs import grpcio, post, request
from marks import judged
from models import Copy
from server import Server

# PredictRequest { texts: ["a good film"], route: ROUTE_FAST }
BODY = request(b"a good film", 1)
# HealthCheckResponse { status: SERVING }, and NOT_SERVING
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


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
    told = f"{rounds} times: {outcomes}, longest end {longest:.2f} s of {grace + 0.2:.1f} s, exit codes {codes}"
    kept = not {"lost", "failed"} & outcomes.keys()
    return judged(options, told, [("none lost", kept), ("exit 0", codes == {0})], [("within grace + 0.2 s", longest <= grace + 0.2)])


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
    found = f"Watch told NOT_SERVING {said}, exit {code} after {took:.2f} s of {grace} s"
    counts = [("Watch told", told is not None), ("exit 0", code == 0)]
    return judged(options, found, counts, [("told within 10 ms", told is not None and told <= 10), ("within grace", took <= grace)])


def idle_stream(options):
    """SIGTERM with an idle bidirectional stream open besides Watch, silent TCP and a mute peer: exit within grace + 0.2 s."""
    grace = 1 if options.short else 5
    with Server(options.program, "--drain-grace", f"{grace}s") as server:
        silent_peer = socket.create_connection(server.grpc)
        mute, watch, idle = (Connection(server.grpc) for _ in range(3))
        mute.call(CHECK)
        watch.start(WATCH, b"")
        idle.send(frame(HEADERS, END_HEADERS, 1, headers(STREAM)))
        # The first sign of the call, or of the acknowledged settings.
        idle.read()
        watch.read()
        code, took = server.stop(signal.SIGTERM, grace + 10)
        silent_peer.close()
    told = f"exit {code} after {took:.2f} s of {grace + 0.2:.1f} s"
    return judged(options, told, [("exit 0", code == 0)], [("within grace + 0.2 s", took <= grace + 0.2)])


def health(options):
    """Health after SIGTERM, asked on an open connection, 20 times: NOT_SERVING within 10 ms."""
    rounds = 2 if options.short else 20
    waits = []
    for _ in range(rounds):
        with Server(options.program, "--drain-pause", "5s") as server:
            client = Connection(server.grpc)
            assert client.call(CHECK) == "answered" and client.last_message.endswith(SERVING)
            started = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            while not client.last_message.endswith(NOT_SERVING):
                assert client.call(CHECK) == "answered"
            waits.append((time.monotonic() - started) * 1000)
    told = f"{rounds} times NOT_SERVING, the slowest after {max(waits):.1f} ms"
    return judged(options, told, [], [("within 10 ms", max(waits) <= 10)])


def starts(options):
    """100 starts whose golden check fails: SERVING was said before it 0 times."""
    count = 3 if options.short else 100
    serving = asked = ended = 0
    with Copy("models", "sentiment-fast") as copy:
        copy.replace("golden.jsonl", rb'"logits":\[-?\d', rb'"logits":[7')
        for _ in range(count):
            with Server(options.program, "--listen", "at-start", repository=copy.repository.name, wait=False) as server:
                server.drain_log()
                with contextlib.suppress(OSError):
                    client = Connection(server.grpc)
                    while client.call(CHECK) == "answered":
                        asked += 1
                        serving += client.last_message.endswith(SERVING)
                ended += server.process.wait(60) == 1
    told = f"{count} starts, asked {asked} times, SERVING {serving} times, {ended} ended with exit 1"
    return judged(options, told, [("asked", asked > 0), ("never SERVING", serving == 0), ("all ended with exit 1", ended == count)])


class Load:
    """Calls one after the other by grpcio, on threads, until it is told to stop."""

    def __init__(self, open_channel, threads=2):
        self.grpc = grpcio()
        self.open_channel = open_channel
        self.outcomes, self.problems, self.longest, self.channels = {}, set(), 0.0, 0
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]

    def run(self):
        while not self.ended.is_set():
            # One channel for so many calls: new connections come in all the time.
            self.channels += 1
            with self.open_channel(self.grpc) as channel:
                predict = channel.unary_unary(PREDICT.decode())
                for _ in range(self.calls_per_channel):
                    self.call(predict)
                    if self.ended.is_set():
                        return

    calls_per_channel = 200

    def call(self, predict):
        started = time.monotonic()
        try:
            predict(BODY, timeout=10)
            outcome = "answered"
        except self.grpc.RpcError as error:
            outcome = error.code().name
            self.problems.add(error.details())
        with self.lock:
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
            self.longest = max(self.longest, time.monotonic() - started)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def none_failed(self):
        return self.outcomes.keys() == {"answered"}

    def told(self):
        problems = f", problems: {sorted(self.problems)}" if self.problems else ""
        return f"{self.outcomes}, the longest call {self.longest * 1000:.0f} ms{problems}"


def ages(options):
    """Connection-age rotation, 5 minutes of serial calls by grpcio: 0 failed."""
    lasts = 3 if options.short else 300
    with Server(options.program, "--max-connection-age", "1s", "--max-connection-age-grace", "5s") as server:
        with Load(lambda grpc: grpc.insecure_channel("%s:%d" % server.grpc, options=OWN_CONNECTION)) as load:
            load.calls_per_channel = 1 << 40
            time.sleep(lasts)
        accepted = metric(server, 'tandem_connections_accepted_total{door="grpc"}')
    return judged(options, f"{lasts} s over {accepted} connections: {load.told()}", [("none failed", load.none_failed())])


OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


def metric(server, name):
    with urllib.request.urlopen("http://%s:%d/metrics" % server.http) as page:
        lines = page.read().decode().splitlines()
    return next((line.rsplit(" ", 1)[1] for line in lines if line.startswith(name)), "?")


def rotation(options):
    """50 certificate rotations under mutual-TLS load: 0 failed."""
    count = 3 if options.short else 50
    with tempfile.TemporaryDirectory() as folder:
        certificates(folder)
        certificate(folder, "client")
        read = lambda name: open(f"{folder}/{name}", "rb").read()
        ca, key, chain = read("ca.pem"), read("client-key.pem"), read("client.pem")
        flags = ["--tls-cert", f"{folder}/cert.pem", "--tls-key", f"{folder}/key.pem"]
        flags += ["--tls-client-ca", f"{folder}/ca.pem", "--reload-interval", "1h"]

        def channel(grpc):
            credentials = grpc.ssl_channel_credentials(ca, key, chain)
            return grpc.secure_channel("localhost:%d" % server.grpc[1], credentials, options=OWN_CONNECTION)

        with Server(options.program, *flags) as server:
            with Load(channel) as load:
                load.calls_per_channel = 20
                for _ in range(count):
                    certificate(folder)
                    server.process.send_signal(signal.SIGHUP)
                    time.sleep(0.2)
            taken = sum("new certificates are in use" in line for line in server.lines)
    told = f"{count} rotations, {taken} taken into use, {load.channels} connections: {load.told()}"
    return judged(options, told, [("none failed", load.none_failed()), ("all taken into use", taken == count)])


FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


def clock(options):
    """The clock moved by an hour either way under load (faketime): no false time-out."""
    if not os.path.exists(FAKETIME):
        return "skipped: install Debian's package faketime"
    moves = ["+3600", "-3600", "+0"] * (1 if options.short else 10)
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/offset"

        def move(offset):
            with open(f"{file}.new", "w") as new:
                new.write(f"{offset}\n")
            os.rename(f"{file}.new", file)

        move("+0")
        faked = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": file, "FAKETIME_NO_CACHE": "1"}
        # A clock that is set moves the time of day, and never the monotonic clock.
        faked["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"
        with Server(options.program, environment=faked) as server:
            with Load(lambda grpc: grpc.insecure_channel("%s:%d" % server.grpc, options=OWN_CONNECTION)) as load:
                for offset in moves:
                    move(offset)
                    time.sleep(1)
                    # A line of the log, which has the time.
                    post(server, "/v1/predict", b"{}")
            server.stop(signal.SIGTERM, 60)
            server.reader.join(60)
            hours = {line.split('"timestamp":"')[1][:13] for line in server.lines if '"timestamp":"' in line}
    return judged(options, f"{len(moves)} moves, hours in the log {sorted(hours)}: {load.told()}", [("none failed", load.none_failed())])


ROWS = [drain, stubborn, idle_stream, health, starts, ages, rotation, clock]
