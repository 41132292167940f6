"""Two servers behind a balancer, by the files of deploy/: restarted in turn, killed, asked at each door, while clients that never
retry go on calling."""

import contextlib
import gzip
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

from h2raw import PREDICT, message
from inputs import grpcio, request, varint
from lifecycle import metric
from marks import Found, judged
from server import ROOT, Server

FAST = request(b"a good film", 1)
# PredictRequest { texts: 8, route: deep }: a kill finds some of these under way.
DEEP = (b"\x0a" + varint(11) + b"a good film") * 8 + b"\x20\x02"
CALLERS = 8
# Below it no call of a small model fails, on a busy machine neither.
DEADLINE_S = 30
# After it a balancer knows that a server is ready: `minReadySeconds` of a roll-out.
SETTLED_S = 5


def free_port():
    """Below those that the system gives to outgoing connections, since a server comes back to it."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as taken:
            taken.bind(("127.0.0.1", port))
            return port


def program_of(file):
    """The command that runs a balancer by a file, given a folder of its own; none if it is not here."""
    if file.startswith("envoy"):
        done = subprocess.run([f"{ROOT}/tools/test-tools.sh", "envoy"], check=True, capture_output=True, text=True)
        # Envoy's files for hot restarts are named by the number; several may run on one machine.
        return lambda _: [done.stdout.strip(), "--log-level", "error", "--base-id", str(os.getpid() % 30000), "-c"]
    name = file.split(".")[0]
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if not program:
        return None
    if name == "haproxy":
        return lambda _: [program, "-db", "-f"]
    return lambda folder: [program, "-p", folder, "-g", f"daemon off; pid {folder}/pid; error_log {folder}/error.log;", "-c"]


class Balancer:
    """A balancer that runs by a file of deploy/, with other addresses in it, and other words if they are named."""

    def __init__(self, file, command, servers, changes=()):
        self.port = free_port()
        with open(f"{ROOT}/deploy/{file}") as original:
            text = original.read()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        for number, (grpc, http) in enumerate(servers, 1):
            for usual, port in ((50051, grpc), (5000, http)):
                # Each server of one machine has a gateway's port of its own, which HAProxy asks for health.
                name = f"server tandem-{number}"
                text = text.replace(f"{name} tandem-{number}:{usual}", f"{name} 127.0.0.1:{port} port {http}")
                text = text.replace(f"tandem-{number}:{usual}", f"127.0.0.1:{port}")
                text = text.replace(f"address: tandem-{number}, port_value: {usual}}}", f"address: 127.0.0.1, port_value: {port}}}")
        text = text.replace("check port 5000", "check")
        text = text.replace("127.0.0.1:50050", f"127.0.0.1:{self.port}").replace("port_value: 50050", f"port_value: {self.port}")
        # nginx takes JSON at another port.
        self.json_port = free_port() if "127.0.0.1:8080" in text else self.port
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{self.json_port}")
        assert not re.search(r"^[^#\n]*(tandem-\d:|address: tandem-)", text, re.M), text
        self.folder = tempfile.TemporaryDirectory()
        path = f"{self.folder.name}/{file}"
        with open(path, "w") as changed:
            changed.write(text)
        with open(f"{self.folder.name}/log", "w") as log:
            self.process = subprocess.Popen([*command(self.folder.name), path], stdout=log, stderr=log)
        self.wait()

    def wait(self):
        for _ in range(200):
            try:
                return socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
        self.process.kill()
        self.process.wait()
        with open(f"{self.folder.name}/log") as log:
            raise SystemExit(f"the balancer does not start: {log.read()[-2000:]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()


class Pair:
    """Two servers behind a balancer, and what callers that never retry got."""

    def __init__(self, options, file, command, models=("sentiment-fast",), changes=()):
        self.options, self.models = options, models
        self.grpc = grpcio()
        self.ports = [(free_port(), free_port()) for _ in range(2)]
        self.outcomes, self.longest, self.ended, self.lock = {}, 0.0, threading.Event(), threading.Lock()
        self.servers = []
        with contextlib.ExitStack() as stack:
            stack.callback(lambda: [server.__exit__() for server in self.servers])
            self.servers += [self.start(number) for number in range(2)]
            self.balancer = stack.enter_context(Balancer(file, command, self.ports, changes))
            # Until the balancer has looked at health for the first time.
            time.sleep(SETTLED_S)
            self.stack = stack.pop_all()

    def start(self, number):
        # The pause is longer than a balancer takes to look at health.
        return Server(self.options.program, "--drain-pause", "3s", models=self.models, ports=self.ports[number])

    def replace(self, number):
        self.servers[number].__exit__()
        self.servers[number] = self.start(number)

    @contextlib.contextmanager
    def callers(self, body):
        threads = [threading.Thread(target=self.ask, args=[body]) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.ended.set()
            for thread in threads:
                thread.join()

    def ask(self, body):
        # A connection of its own for each.
        once = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
        with self.grpc.insecure_channel(f"127.0.0.1:{self.balancer.port}", options=once) as channel:
            predict = channel.unary_unary(PREDICT.decode())
            while not self.ended.is_set():
                started = time.monotonic()
                try:
                    predict(body, timeout=DEADLINE_S)
                    outcome = "answered"
                except self.grpc.RpcError as error:
                    # Without addresses, which differ from call to call.
                    outcome = f"{error.code().name}: {re.sub(r'[0-9.]+:[0-9]+', '…', error.details())}"
                with self.lock:
                    self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
                    self.longest = max(self.longest, time.monotonic() - started)

    def told(self):
        """How many calls failed, in words, and the number."""
        failed = {outcome: count for outcome, count in self.outcomes.items() if outcome != "answered"}
        lost = sum(failed.values())
        worst = "".join(f"; {count} × {outcome[:160]}" for outcome, count in sorted(failed.items(), key=lambda pair: -pair[1])[:3])
        return f"{lost} of {self.outcomes.get('answered', 0) + lost} calls failed{worst}", lost

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()


def rolling_restart(options, file):
    command = program_of(file)
    if not command:
        return Found(f"skipped: install {file.split('.')[0]}")
    rounds, codes = 1 if options.short else 3, []
    with Pair(options, file, command) as pair:
        with pair.callers(FAST):
            for number in list(range(2)) * rounds:
                time.sleep(SETTLED_S)
                codes.append(pair.servers[number].stop(signal.SIGTERM, 30)[0])
                pair.replace(number)
            time.sleep(SETTLED_S)
    told, lost = pair.told()
    told = f"{len(codes)} restarts, {codes.count(0)} with exit 0: {told}"
    return judged(options, told, [("exit 0", set(codes) == {0})], [("none failed", lost == 0)])


def kills(options, file, allowed):
    """`allowed`: calls that may be lost at a kill, beside which all must be answered."""
    command = program_of(file)
    if not command:
        return Found(f"skipped: install {file.split('.')[0]}")
    rounds, back = 2 if options.short else 10, []
    with Pair(options, file, command, models=("sentiment-fast", "sentiment-deep")) as pair:
        with pair.callers(DEEP):
            for round in range(rounds):
                time.sleep(1)
                pair.servers[round % 2].process.kill()
                # The other one has all the work for a while.
                time.sleep(2)
                pair.replace(round % 2)
                back.append(until_called(pair.servers[round % 2]))
    told, lost = pair.told()
    again = [seconds for seconds in back if seconds is not None]
    told = (
        f"{rounds} kills, {len(again)} times the new server had calls, at most {max(again, default=0):.1f} s after it was ready: {told}; "
        f"the longest call {pair.longest * 1000:.0f} ms"
    )
    # On a machine with too much else to do, some come past their deadlines, whatever balances.
    late = sum(count for outcome, count in pair.outcomes.items() if outcome.startswith("DEADLINE_EXCEEDED"))
    counts = [("at work again", None not in back), (f"at most {allowed} lost a kill", lost - late <= allowed * rounds)]
    return judged(options, told, counts, [("none late", late == 0)])


def until_called(server):
    """How long it takes until a server that is ready has answered a call; none if it gets none for half a minute."""
    started = time.monotonic()
    while metric(server, 'tandem_requests_total{door="grpc",method="Predict",code="OK"') == "?":
        if time.monotonic() - started > 30:
            return None
        time.sleep(0.05)
    return time.monotonic() - started


def web_call(port, path, body, content_type, *more):
    call = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"content-type": content_type, **dict(more)})
    with urllib.request.urlopen(call, timeout=DEADLINE_S) as answer:
        return answer.read()


def doors(options, file, changes=(), beyond=None):
    """gRPC, JSON, gRPC-Web and Connect through a balancer."""
    command = program_of(file)
    if not command:
        return Found(f"skipped: install {file.split('.')[0]}")
    counts, told = [], []
    body = json.dumps({"texts": ["a good film"], "route": "ROUTE_FAST"}).encode()
    with Pair(options, file, command, changes=changes) as pair:
        with pair.grpc.insecure_channel(f"127.0.0.1:{pair.balancer.port}") as channel:
            predict = channel.unary_unary(PREDICT.decode())
            port = pair.balancer.json_port
            calls = {
                "gRPC": lambda: predict(FAST, timeout=DEADLINE_S),
                "JSON": lambda: web_call(port, "/v1/predict", body, "application/json"),
                "gzip": lambda: web_call(port, "/v1/predict", gzip.compress(body), "application/json", ("content-encoding", "gzip")),
                "gRPC-Web": lambda: web_call(port, PREDICT.decode(), message(FAST), "application/grpc-web+proto"),
                "Connect": lambda: web_call(port, PREDICT.decode(), body, "application/json", ("connect-protocol-version", "1")),
            }
            for door, call in calls.items():
                answer = call()
                # gRPC-Web ends with its trailers, in the body.
                well = b"sentiment-fast" in answer and (door != "gRPC-Web" or re.search(b"grpc-status: ?0", answer))
                counts.append((door, well))
                told.append(f"{door} {'answered' if well else 'not'}")
            if beyond:
                words, met = beyond(pair, predict)
                told.append(words)
                counts.append(("a rate that is over", met))
    return judged(options, ", ".join(told), counts)


def over_the_rate(pair, predict):
    """50 calls at once against a rate of 20 in a minute: some were used up before."""
    codes = {}
    for _ in range(50):
        try:
            predict(FAST, timeout=DEADLINE_S)
            code = "OK"
        except pair.grpc.RpcError as error:
            code = error.code().name
        codes[code] = codes.get(code, 0) + 1
    return f"then 50 calls where 20 a minute may pass: {codes}", codes.keys() == {"OK", "RESOURCE_EXHAUSTED"} and codes["OK"] < 20


def ejections(port):
    """How often Envoy has put a server out, by its own account."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats?filter=ejections_enforced_total", timeout=DEADLINE_S) as page:
        return sum(int(line.split()[-1]) for line in page.read().decode().splitlines())


def envoy_outliers(options):
    """200 calls whose deadline of 4 ms passes turn no server away from Envoy; a kill does, within 1 s, and no call of 8 callers fails."""
    port = free_port()
    admin = f"admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}\nstatic_resources:\n"
    models = ("sentiment-fast", "sentiment-deep")
    with Pair(options, "envoy.yaml", program_of("envoy.yaml"), models, [("static_resources:\n", admin)]) as pair:
        late = 0
        with pair.grpc.insecure_channel(f"127.0.0.1:{pair.balancer.port}") as channel:
            predict = channel.unary_unary(PREDICT.decode())
            for _ in range(200):
                try:
                    predict(DEEP * 6, timeout=0.004)
                except pair.grpc.RpcError as error:
                    late += error.code() == pair.grpc.StatusCode.DEADLINE_EXCEEDED
        # Longer than its interval.
        time.sleep(2)
        by_deadlines = ejections(port)
        with pair.callers(DEEP):
            time.sleep(1)
            pair.servers[0].process.kill()
            killed, waited = time.monotonic(), None
            while waited is None and time.monotonic() - killed < 3:
                if ejections(port) > by_deadlines:
                    waited = time.monotonic() - killed
                time.sleep(0.02)
    told, lost = pair.told()
    said = "never" if waited is None else f"after {waited:.2f} s"
    told = f"{late} calls too late, {by_deadlines} servers put out; after a kill put out {said}: {told}"
    counts = [("none put out by deadlines", late > 0 and by_deadlines == 0), ("none failed", lost == 0)]
    return judged(options, told, counts, [("put out within 1 s", waited is not None and waited <= 1)])


def envoy(options):
    """Rolling restarts of two servers behind Envoy by deploy/envoy.yaml, 8 callers that never retry: 0 calls failed."""
    return rolling_restart(options, "envoy.yaml")


def haproxy(options):
    """The same behind HAProxy by deploy/haproxy.cfg."""
    return rolling_restart(options, "haproxy.cfg")


def nginx(options):
    """The same behind nginx by deploy/nginx.conf, which asks no health."""
    return rolling_restart(options, "nginx.conf")


def envoy_kill(options):
    """kill -9 of one of two servers behind Envoy, 10 times, 8 callers of 8 deep texts that never retry: 0 calls failed, the new server has calls again."""
    return kills(options, "envoy.yaml", 0)


def haproxy_kill(options):
    """The same behind HAProxy."""
    return kills(options, "haproxy.cfg", 0)


def nginx_kill(options):
    """The same behind nginx, which does not repeat a call that it has sent: at a kill no more calls lost than were under way, 8."""
    return kills(options, "nginx.conf", CALLERS)


def envoy_doors(options):
    """gRPC, JSON, gRPC-Web and Connect through Envoy: all answered; calls over the rate (lowered to 20 a minute) refused with RESOURCE_EXHAUSTED."""
    lowered = ("max_tokens: 20000, tokens_per_fill: 20000, fill_interval: 1s", "max_tokens: 20, tokens_per_fill: 20, fill_interval: 60s")
    return doors(options, "envoy.yaml", [lowered], over_the_rate)


def haproxy_doors(options):
    """gRPC, JSON, gRPC-Web and Connect through HAProxy: all answered."""
    return doors(options, "haproxy.cfg")


def nginx_doors(options):
    """The same through nginx."""
    return doors(options, "nginx.conf")


ROWS = [envoy, haproxy, nginx, envoy_kill, haproxy_kill, nginx_kill, envoy_outliers, envoy_doors, haproxy_doors, nginx_doors]
