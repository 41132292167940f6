"""Rolling restarts of two servers behind a balancer, by the files of deploy/, while clients that never retry go on calling."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from h2raw import PREDICT
from inputs import grpcio, request
from server import ROOT, Server

BODY = request(b"a good film", 1)
CALLERS = 8
# Below it no call of a small model fails on a machine that works.
DEADLINE_S = 10
# After it a balancer knows that a server is ready: `minReadySeconds` of a roll-out.
SETTLED_S = 5


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Balancer:
    """A balancer that runs by a file of deploy/, with other addresses in it."""

    def __init__(self, file, command, servers):
        self.port = free_port()
        with open(f"{ROOT}/deploy/{file}") as original:
            text = original.read()
        for number, (grpc, http) in enumerate(servers, 1):
            text = text.replace(f"tandem-{number}:50051 check", f"127.0.0.1:{grpc} check")
            text = text.replace(f"tandem-{number}:50051", f"127.0.0.1:{grpc}")
            text = text.replace(f"address: tandem-{number}, port_value: 50051", f"address: 127.0.0.1, port_value: {grpc}")
            # Each server of one machine has a gateway's port of its own.
            text = text.replace(f"server tandem-{number} 127.0.0.1:{grpc}", f"server tandem-{number} 127.0.0.1:{grpc} port {http}")
        text = text.replace("check port 5000", "check")
        text = text.replace("127.0.0.1:50050", f"127.0.0.1:{self.port}").replace("port_value: 50050", f"port_value: {self.port}")
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
        with open(f"{self.folder.name}/log") as log:
            raise SystemExit(f"the balancer does not start: {log.read()[-2000:]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        self.folder.cleanup()


def rolling_restart(options, file, command):
    grpc = grpcio()
    rounds = 1 if options.short else 3
    # Longer than a balancer takes to look at health.
    pause = "3s"
    ports = [(free_port(), free_port()) for _ in range(2)]

    start = lambda pair: Server(options.program, "--drain-pause", pause, ports=pair)
    servers = []
    outcomes, end, lock = {}, threading.Event(), threading.Lock()

    def ask(port):
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_retries", 0)])
        call = channel.unary_unary(PREDICT.decode())
        while not end.is_set():
            try:
                call(BODY, timeout=DEADLINE_S)
                outcome = "answered"
            except grpc.RpcError as error:
                outcome = f"{error.code().name}: {error.details()}"
            with lock:
                outcomes[outcome] = outcomes.get(outcome, 0) + 1
        channel.close()

    with contextlib.ExitStack() as stack:
        stack.callback(lambda: [server.__exit__() for server in servers])
        servers += [start(pair) for pair in ports]
        balancer = stack.enter_context(Balancer(file, command, ports))
        # Until the balancer has looked at health for the first time.
        time.sleep(SETTLED_S)
        callers = [threading.Thread(target=ask, args=[balancer.port]) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        for _ in range(rounds):
            for number, pair in enumerate(ports):
                time.sleep(SETTLED_S)
                code, _ = servers[number].stop(signal.SIGTERM, 30)
                outcomes[f"exit {code}"] = outcomes.get(f"exit {code}", 0) + 1
                servers[number].__exit__()
                servers[number] = start(pair)
        time.sleep(SETTLED_S)
        end.set()
        for caller in callers:
            caller.join()
    restarts = sum(count for outcome, count in outcomes.items() if outcome.startswith("exit"))
    answered = outcomes.pop("answered", 0)
    ended = outcomes.pop("exit 0", 0)
    lost = sum(outcomes.values())
    worst = "".join(f"; {count} × {outcome[:160]}" for outcome, count in sorted(outcomes.items(), key=lambda pair: -pair[1])[:3])
    return f"{restarts} restarts, {ended} with exit 0: {lost} of {answered + lost} calls failed{worst}"


def envoy(options):
    """Rolling restarts of two servers behind Envoy by deploy/envoy.yaml, 8 callers that never retry: 0 calls failed."""
    done = subprocess.run([f"{ROOT}/tools/test-tools.sh", "envoy"], check=True, capture_output=True, text=True)
    program = done.stdout.strip()
    # Envoy's files for hot restarts are named by the number; several may run on one machine.
    number = str(os.getpid() % 30000)
    return rolling_restart(options, "envoy.yaml", lambda _: [program, "--log-level", "error", "--base-id", number, "-c"])


def haproxy(options):
    """The same behind HAProxy by deploy/haproxy.cfg."""
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if not program:
        return "skipped: install HAProxy"
    return rolling_restart(options, "haproxy.cfg", lambda _: [program, "-db", "-f"])


def nginx(options):
    """The same behind nginx by deploy/nginx.conf, which asks no health."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not program:
        return "skipped: install nginx"
    quiet = lambda folder: [program, "-p", folder, "-g", f"daemon off; pid {folder}/pid; error_log {folder}/error.log;", "-c"]
    return rolling_restart(options, "nginx.conf", quiet)


ROWS = [envoy, haproxy, nginx]
