"""What is sent to classify: bombs, long texts of every kind, and a canary that must not be found again."""

import concurrent.futures
import gzip
import http.client
import json
import statistics
import subprocess
import sys
import time
import urllib.request

from h2raw import CHECK, PREDICT, Connection
from marks import judged
from server import ROOT, Server

MIB = 1 << 20
CANARY = "kanarienvogel"


def grpcio():
    """The official client, which the tests pin: it knows flow control, which `h2raw` does not."""
    path = subprocess.run([f"{ROOT}/tools/test-tools.sh", "grpc"], check=True, capture_output=True, text=True).stdout.strip()
    sys.path.insert(0, path)
    import grpc

    return grpc


def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def request(text, route):
    """PredictRequest { texts: [text], route }"""
    return b"\x0a" + varint(len(text)) + text + b"\x20" + bytes([route])


def post(server, path, body, headers=()):
    """The status and the body of an answer of the gateway."""
    connection = http.client.HTTPConnection(*server.http, timeout=60)
    connection.request("POST", path, body, {"content-type": "application/json", **dict(headers)})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def bombs(options):
    """gzip bomb 1000:1 × 100, at each door: at most twice the message limit in memory."""
    count = 10 if options.short else 100
    bomb = gzip.compress(bytes(60 * MIB))
    spaces = gzip.compress(b" " * (60 * MIB))
    told = []
    with Server(options.program) as server:
        # What a door needs once is not what a bomb costs.
        post(server, "/v1/predict", b'{"texts": ["a"]}')
        assert Connection(server.grpc).call(PREDICT, request(b"a", 1)) == "answered"
        assert Connection(server.grpc).call(PREDICT, gzip.compress(request(b"a", 1)), packed=True) == "answered"
        limits = {}
        for door in ("gRPC", "HTTP"):
            before = server.memory_mb()
            server.forget_peak()
            refused = 0
            for _ in range(count):
                if door == "gRPC":
                    refused += Connection(server.grpc).call(PREDICT, bomb, packed=True) == "failed"
                else:
                    status, answer = post(server, "/v1/predict", spaces, [("content-encoding", "gzip")])
                    refused += status == 413
                    limits[door] = int(json.loads(answer)["error"]["metadata"]["limit_bytes"]) / 1e6
            # A JSON text takes up to six times its bytes.
            limit = limits.get(door)
            told.append((door, refused, server.peak_mb() - before, limit))
        assert Connection(server.grpc).call(CHECK) == "answered"
        grpc_limit = grpc_message_limit(server) / 1e6
    return judged(
        options,
        "; ".join(
            f"{door}: {refused} of {count} refused, {grew:+.1f} MB with a limit of {limit or grpc_limit:.1f} MB"
            for door, refused, grew, limit in told
        ),
        [(f"{door}: all refused", refused == count) for door, refused, _, _ in told],
        [(f"{door}: at most twice the limit", grew <= 2 * (limit or grpc_limit)) for door, _, grew, limit in told],
    )


def grpc_message_limit(server):
    """128 texts of 16 KiB, and what Protobuf puts around them, as the refusal names it."""
    grpc = grpcio()
    with grpc.insecure_channel("%s:%d" % server.grpc, options=[("grpc.max_send_message_length", -1)]) as channel:
        predict = channel.unary_unary(PREDICT.decode())
        try:
            predict(bytes(8 * MIB), timeout=60)
        except grpc.RpcError as error:
            return int(error.details().split("limit of ")[1].split()[0])
    raise AssertionError("8 MiB were taken")


def many_empty_texts(options):
    """Millions of empty texts in a few KB of gzip, by three callers at each door, again and again: each refused for its number, memory below +64 MB, `/healthz` within 100 ms, another client answered throughout, its p99 below 3 x (or 10 ms, whatever is more)."""
    seconds, count = (1, 100_000) if options.short else (10, 2_000_000)
    told, counts, figures = [], [], []
    with Server(options.program) as server:
        # Just under the limits of the doors: eight million texts as JSON, two million as Protobuf.
        most = {"HTTP": 4 * count, "gRPC": count}
        json_bomb = gzip.compress(b'{"texts":[' + b'"",' * most["HTTP"] + b'""]}')
        bomb = gzip.compress(b"\x0a\x00" * most["gRPC"])

        def over_http():
            status, answer = post(server, "/v1/predict", json_bomb, [("content-encoding", "gzip")])
            return status == 400 and b"more than 128 texts" in answer

        def over_grpc():
            return Connection(server.grpc).call(PREDICT, bomb, packed=True) == "failed"

        good = json.dumps({"texts": ["good"]}).encode()
        ask = lambda: post(server, "/v1/predict", good)[0] == 200
        calm = asked_for(seconds, ask)
        post(server, "/v1/predict", json_bomb[:100], [("content-encoding", "gzip")])
        for door, attack in (("HTTP", over_http), ("gRPC", over_grpc)):
            attack()
            before = server.memory_mb()
            server.forget_peak()
            with concurrent.futures.ThreadPoolExecutor(5) as pool:
                attackers = [pool.submit(asked_for, seconds, attack) for _ in range(3)]
                health = pool.submit(asked_for, seconds, lambda: get(server, "/healthz"))
                other = asked_for(seconds, ask)
            refused = [outcome for attacker in attackers for outcome in attacker.result()]
            wrong = sum(not right for right, _ in refused + health.result() + other)
            grew, slowest = server.peak_mb() - before, 1000 * max(took for _, took in health.result())
            told.append(
                f"{door}: {len(refused)} refused, {wrong} otherwise, {grew:+.1f} MB, /healthz at most {slowest:.0f} ms, "
                f"the other client's p99 {p99(calm):.1f} -> {p99(other):.1f} ms"
            )
            counts.append((f"{door}: none otherwise", wrong == 0))
            figures += [(f"{door}: below +64 MB", grew < 64), (f"{door}: /healthz within 100 ms", slowest <= 100)]
            figures.append((f"{door}: p99 below 3 × or 10 ms", p99(other) < max(3 * p99(calm), 10)))
    return judged(options, "; ".join(told), counts, figures)


def asked_for(seconds, ask):
    """Asks again and again; what each said, and how long it took."""
    end, told = time.monotonic() + seconds, []
    while not told or time.monotonic() < end:
        started = time.monotonic()
        told.append((ask(), time.monotonic() - started))
    return told


def p99(told):
    took = sorted(took for _, took in told)
    return 1000 * took[min(len(took) - 1, len(took) * 99 // 100)]


def get(server, path):
    """Whether a path answers."""
    with urllib.request.urlopen("http://%s:%d%s" % (*server.http, path), timeout=60) as answer:
        return answer.status == 200


def repeat(pattern, size):
    """About `size` bytes of a pattern, whole patterns only."""
    pattern = pattern.encode()
    return pattern * (size // len(pattern))


def runs(first, last, size):
    """All the characters of a range in turn."""
    return repeat("".join(map(chr, range(first, last))), size)


def kinds(size):
    """Texts of one kind each, as long as the limit lets them be."""
    letters = "".join(chr(97 + at * at % 26) for at in range(997))
    return {
        "letters without a space": repeat(letters, size),
        "spaces": repeat(" ", size),
        "Korean syllables": runs(0xAC00, 0xD7A4, size),
        "decomposed jamo": repeat("\u1112\u1161\u11ab\u1100\u1173\u11af", size),
        "combining marks": repeat("\u0301\u0323\u0316\u0345", size),
        "emoji joined": repeat("\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466\U0001f3fd", size),
        "digits": repeat("0123456789", size),
        "punctuation": repeat("!?.,;:-()[]{}'\"#%&*/", size),
        "CJK": runs(0x4E00, 0x9FA0, size),
        "right to left": repeat("\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 ", size),
        "control and zero width": repeat("\x01\x00\x1b\u200b\u200c\u2060\ufeff\x7f", size),
        "mixed": repeat("좋은 film \U0001f600 1999! \u4e2d\u6587 e\u0301 \u05d0 \u200b", size),
    }


def long_texts(options):
    """1 MB texts of 12 kinds, 100 each: p99 ≤ 20 ms each, no panic."""
    grpc = grpcio()
    count = 3 if options.short else 100
    sizes = {"at the default limits, refused": [], "with a limit of 1 MiB": ["--max-text-bytes", str(MIB), "--max-queue-bytes", str(128 * MIB)]}
    told, figures = [], []
    for case, flags in sizes.items():
        with Server(options.program, *flags, models=("sentiment-fast", "sentiment-deep")) as server:
            unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
            channel = grpc.insecure_channel("%s:%d" % server.grpc, options=unlimited)
            predict = channel.unary_unary(PREDICT.decode())
            for route, name in ((1, "fast"), (2, "deep")):
                worst, slow, dearest = (0.0, ""), [], (0.0, "")
                for kind, text in kinds(MIB).items():
                    before = server.cpu_seconds()
                    took = [ask(grpc, predict, request(text, route), refused=not flags) for _ in range(count)]
                    # Every thread's, the model's run too; it does not depend on what else the machine does.
                    dearest = max(dearest, ((server.cpu_seconds() - before) / count * 1000, kind))
                    found = statistics.quantiles(took, n=100, method="inclusive")[98]
                    worst = max(worst, (found, kind))
                    if found > 20:
                        slow.append(f"{kind} {found:.0f}")
                    if options.verbose:
                        print(f"    {case}, {name}, {kind}: p50 {statistics.median(took):.1f} ms, p99 {found:.1f} ms", flush=True)
                cost = f", at most {dearest[0]:.1f} ms of processor each ({dearest[1]})"
                over = f", over 20 ms: {', '.join(slow)}" if slow else ""
                told.append(f"{case}, {name}: worst p99 {worst[0]:.1f} ms ({worst[1]}){cost}{over}")
                figures.append((f"{case}, {name}: p99 at most 20 ms", not slow))
            channel.close()
            panics = sum("panic" in line for line in server.lines)
            assert server.process.poll() is None and not panics, panics
    return judged(options, f"{count} of each kind; " + "; ".join(told), [], figures)


def ask(grpc, predict, message, refused):
    started = time.monotonic()
    try:
        predict(message, timeout=60)
        code = grpc.StatusCode.OK
    except grpc.RpcError as error:
        code = error.code()
    took = (time.monotonic() - started) * 1000
    assert code == (grpc.StatusCode.INVALID_ARGUMENT if refused else grpc.StatusCode.OK), code
    return took


def canary(options):
    """A canary text sent 1,000 times, by good calls and by bad ones: found in no log, metric or error."""
    # Names of tasks, models and fields come back to the caller who asked for them: those calls are counted apart.
    rounds = 3 if options.short else 56
    grpc = grpcio()
    text = CANARY.encode()
    long = text * 2000
    over_grpc = [
        request(text, 1),
        request(text, 0) + b"\x30" + varint((1 << 64) - 1),
        b"\x12" + varint(len(text)) + text + request(b"a", 1),
        request(text, 77),
        request(long, 1),
        (b"\x0a" + varint(len(text)) + text) * 129,
        b"\x0a" + varint(len(long) * 100) + long * 100,
        b"\x0a\xff" + text,
        b"\x0a" + varint(len(text) + 1) + text + b"\xff",
    ]
    quoted = json.dumps(CANARY).encode()
    names = [
        b'{"texts": [%s], %s: 1}' % (quoted, quoted),
        b'{"texts": [%s], "model": %s}' % (quoted, quoted),
        b'{"texts": [%s], "task": %s}' % (quoted, quoted),
    ]
    over_http = [
        ("/v1/predict", b'{"texts": [%s]}' % quoted),
        ("/v1/predict", b'{"texts": [%s], "route": %s}' % (quoted, quoted)),
        ("/v1/predict", b'{"texts": %s}' % quoted),
        ("/v1/predict", b'{"texts": [%s], "topK": %s}' % (quoted, quoted)),
        ("/predict", b'{"text": %s' % quoted),
        ("/predict", b'{"text": "%s"}' % long),
        ("/predict", text),
        ("/" + CANARY, text),
        ("/v1/predict", b'{"texts": ["' + text + b'\xff"]}'),
    ]
    sent = leaks = 0
    echoed = {}
    with Server(options.program, "--log-filter", "debug,tandem=trace") as server:
        unlimited = [("grpc.max_send_message_length", -1)]
        channel = grpc.insecure_channel("%s:%d" % server.grpc, options=unlimited)
        predict = channel.unary_unary(PREDICT.decode())
        for _ in range(rounds):
            for at, message in enumerate(over_grpc):
                try:
                    answer = predict(message, timeout=60)
                except grpc.RpcError as error:
                    answer = (error.details() + repr(error.trailing_metadata())).encode()
                if text in answer:
                    leaks, echoed["gRPC %d" % at] = leaks + 1, answer[:200]
                sent += 1
            for at, (path, body) in enumerate(over_http):
                _, answer = post(server, path, body)
                if text in answer:
                    leaks, echoed["HTTP %d" % at] = leaks + 1, answer[:200]
                sent += 1
            for body in names:
                post(server, "/v1/predict", body)
                sent += 1
        with urllib.request.urlopen("http://%s:%d/metrics" % server.http) as page:
            metrics = page.read().decode()
        channel.close()
        server.stop(15, 60)
        server.reader.join(60)
        logged = sum(CANARY in line for line in server.lines)
        lines = len(server.lines)
    if options.verbose and echoed:
        print(echoed)
    told = f"{sent} sent: {leaks} answers, {logged} of {lines} lines of the log and {metrics.count(CANARY)} metrics hold it"
    return judged(options, told, [("found nowhere", not leaks and not logged and CANARY not in metrics)])


ROWS = [bombs, many_empty_texts, long_texts, canary]
