#!/usr/bin/env python3
"""Asks a real Prometheus that scrapes a real server: tools/dashboards/live.py TANDEM FOLDER, which tools/dashboards/check.sh runs.

TANDEM is the server's program, FOLDER holds `prometheus` and `promtool`. The server has TLS, keys, a cascade with audit and
gears, and it gets half a minute of load, some calls that it refuses, a canary that it rolls back, a version that it refuses
and a broken file of keys. Then each expression of deploy/prometheus/ and deploy/grafana/ must run, and must give data; the
alerts that these events should bring about must be there. Wants openssl.
"""

import contextlib
import json
import math
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from check import PROMETHEUS, ROOT, RULES, documented, expressions, series_of, variables
from ruamel.yaml import YAML

TOKEN, ADMIN_TOKEN = "0123456789abcdef-load", "0123456789abcdef-admin"
RATE_INTERVAL = "2m"
# How a selector looks at what was before.
SHIFT = re.compile(r" offset \w+")
# What gives no data here, and why not.
EMPTY = {
    "tandem_model_examinations_total": "no model fails",
    "tandem_kept_dropped_texts_total": "nothing is dropped in so short a time",
    "tandem_cascade_audit_dropped_texts_total": "the audit has room",
}
EXPECTED_ALERTS = {
    "TandemCertificateExpiresSoon": "the certificate lives for ten days",
    "TandemSecurityReloadFailed": "the file of keys was broken",
    "TandemVersionRefused": "version 3 is broken",
    "TandemCanaryRolledBack": "version 2 may not take a tenth of the time of version 1, and takes more",
}
CONFIGURATION = """
[tasks.sentiment]
fast = "sentiment-fast"
deep = "sentiment-deep"
[tasks.sentiment.abstain]
min_confidence = 0.6
[tasks.sentiment.cascade]
audit_share = 1.0
[tasks.sentiment.cascade.gears]
floor = 0.69
"""


def until(what, condition, seconds=60, log=None):
    """Waits until the condition gives something, and returns it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    sys.exit(f"{what}: not within {seconds} s\n{log.read_text()[-2000:] if log else ''}")


def run(*command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, **more)
    if done.returncode:
        sys.exit(f"{' '.join(str(part) for part in command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


@contextlib.contextmanager
def process(command, log, **more):
    """A process that ends with the block."""
    with open(log, "w") as out:
        child = subprocess.Popen([str(part) for part in command], stdout=out, stderr=out, **more)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()


def copy_version(model, version):
    """Version 1 of a model, once more under another number."""
    shutil.copytree(model / "1", model / version)
    manifest = model / version / "manifest.toml"
    manifest.write_text(re.sub(r'^version = "1"$', f'version = "{version}"', manifest.read_text(), flags=re.MULTILINE))
    return model / version


class Server:
    """A real server with both models, in a folder of its own."""

    def __init__(self, tandem, work):
        self.tandem, self.work = tandem, work
        self.models, self.tokens, self.log = work / "models", work / "tokens", work / "server.log"
        shutil.copytree(ROOT / "models", self.models)
        self.tokens.write_text(f"load:{TOKEN}\n")
        (work / "admin-tokens").write_text(f"operator:{ADMIN_TOKEN}\n")
        (work / "tandem.toml").write_text(CONFIGURATION)
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", work / "key.pem", "-out", work / "cert.pem",
            "-days", "10", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE")
        self.ssl = ssl.create_default_context(cafile=work / "cert.pem")
        self.environment = {**os.environ, "TANDEM_TOKEN": TOKEN, "TANDEM_ADMIN_TOKEN": ADMIN_TOKEN}
        # fmt: off
        self.command = [
            tandem, "serve", "--config", work / "tandem.toml", "--models", self.models, "--tls-cert", work / "cert.pem",
            "--tls-key", work / "key.pem", "--tokens-file", self.tokens, "--admin-tokens-file", work / "admin-tokens",
            "--reload-interval", "1s", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0",
            "--cache-bytes", "1000000", "--keep-texts", "300", "--keep-share", "1", "--keep-bytes", "65536",
            "--canary-max-slowdown", "0.1", "--canary-min-count", "40", "--client-header", "x-client-id", "--log-format", "json",
        ]
        # fmt: on

    def addresses(self):
        for line in self.log.read_text().splitlines():
            entry = json.loads(line) if line.startswith("{") else {}
            if entry.get("message") == "listening":
                return entry
        return None

    def started(self):
        told = until("the server's addresses", self.addresses, log=self.log)
        self.grpc, self.http, self.admin = (told[name].replace("127.0.0.1", "localhost") for name in ("grpc", "http", "admin"))
        until("a ready server", lambda: self.get("/readyz")[0] == 200, log=self.log)

    def get(self, path, body=None, token=TOKEN, **headers):
        headers |= {"content-type": "application/json", "authorization": f"Bearer {token}"}
        request = urllib.request.Request(f"https://{self.http}{path}", body, headers)
        try:
            with urllib.request.urlopen(request, context=self.ssl, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def bench(self, *more):
        run(self.tandem, "bench", "--server", self.grpc, "--tls-ca", self.work / "cert.pem", *more, env=self.environment, cwd=self.work)

    def operate(self, *more, may_fail=False):
        command = [self.tandem, "models", "--addr", self.admin, "--tls-ca", self.work / "cert.pem", *more]
        done = subprocess.run([str(part) for part in command], env=self.environment, cwd=self.work, capture_output=True, text=True, timeout=120)
        if done.returncode and not may_fail:
            sys.exit(f"tandem models {more}: {done.stdout}{done.stderr}")

    def load(self):
        """What happens to it: half a minute of calls, and mishaps."""
        long = json.dumps({"texts": ["재미있다 " * 400], "route": "ROUTE_DEEP", "truncation": "TRUNCATION_WINDOWS"}).encode()
        for route in ("fast", "deep", "cascade"):
            # Between the loads, so that Prometheus sees these counters grow.
            self.get("/v1/predict", long)
            self.get("/predict", b'{"text": 7}')
            self.get("/predict", b'{"text": "a"}', token="nobody-knows-this-one")
            self.bench("--route", route, "--rate", "100", "--duration", "6s", "--connections", "4")
        run(self.tandem, "healthcheck", "--grpc-addr", self.grpc, "--tls-ca", self.work / "cert.pem", env=self.environment, cwd=self.work)
        # A canary that is rolled back, and a version that is refused.
        copy_version(self.models / "sentiment-fast", "2")
        self.operate("promote", "sentiment-fast@1")
        self.operate("load", "sentiment-fast@2")
        self.operate("canary", "sentiment-fast@2", "--share", "0.5")
        # So slowly that Prometheus sees more than its beginning and its end.
        for call in range(160):
            time.sleep(0.04)
            body = json.dumps({"text": f"영화 {call}", "do_fast": True}).encode()
            self.get("/predict", body, **{"x-client-id": f"client-{call % 30}"})
        until("a canary that is rolled back", lambda: "rolled back" in self.log.read_text(), log=self.log)
        model = next(copy_version(self.models / "sentiment-deep", "3").glob("*.onnx"))
        model.write_bytes(model.read_bytes()[:-1] + b"x")
        self.operate("reload", may_fail=True)
        # New keys, and then none that can be used.
        self.tokens.write_text(f"load:{TOKEN}\nother:{TOKEN}-other\n")
        until("new keys", lambda: "new keys are in use" in self.log.read_text())
        self.tokens.write_text("load\n")
        until("a refused file of keys", lambda: "can't be used" in self.log.read_text())
        self.bench("--route", "cascade", "--rate", "50", "--duration", "3s")


class Prometheus:
    """A real Prometheus that scrapes it each second."""

    def __init__(self, program, server, work):
        configuration = YAML(typ="safe").load(PROMETHEUS / "prometheus.yaml")
        [job] = configuration["scrape_configs"]
        job |= {
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "static_configs": [{"targets": [server.http]}],
            "scheme": "https",
            "tls_config": {"ca_file": str(work / "cert.pem")},
            "authorization": {"credentials": TOKEN},
        }
        configuration |= {"rule_files": [str(RULES)], "global": {"evaluation_interval": "1s"}}
        with open(work / "prometheus.yaml", "w") as file:
            YAML(typ="safe").dump(configuration, file)
        self.log = work / "prometheus.log"
        # fmt: off
        self.command = [
            program, f"--config.file={work / 'prometheus.yaml'}", f"--storage.tsdb.path={work / 'data'}", "--web.listen-address=127.0.0.1:0",
            "--log.format=json",
        ]
        # fmt: on

    def started(self):
        def address():
            found = re.search(r'"address":"(127.0.0.1:[1-9]\d*)"', self.log.read_text())
            return found and found[1]

        self.address = until("Prometheus' address", address, log=self.log)
        until("a first scrape", lambda: self.values("up == 1"), log=self.log)

    def ask(self, path, **parameters):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(error.read().decode()) from error
        except urllib.error.URLError:
            return None

    def values(self, expression):
        """The finite values that it gives now."""
        data = self.ask("query", query=expression)
        results = data["result"] if data else []
        return [value for value in (float(series["value"][1]) for series in results) if math.isfinite(value)]

    def alerts(self):
        return {alert["labels"]["alertname"] for alert in self.ask("alerts")["alerts"]}


def check_expressions(prometheus):
    """Each expression and variable, asked of Prometheus: what is wrong, and how many gave data."""
    problems, given, empty = [], 0, []
    for expression in expressions():
        names = expression.names()
        # An alert gives data when it fires; what it looks at must be there all the time.
        asked = expression.filled(RATE_INTERVAL)
        parts = [asked] if expression.kind != "alert" else [SHIFT.sub("", selector.prettify()) for selector in expression.selectors()[0]]
        try:
            prometheus.values(asked)
            found = all(prometheus.values(part) for part in parts)
        except ValueError as error:
            problems.append(f"{expression.where}: {error}: {asked}")
            continue
        given += found
        if not found and names & set(EMPTY):
            empty.append(f"{expression.where}: {EMPTY[min(names & set(EMPTY))]}")
        elif not found and expression.kind != "annotation":
            problems.append(f"{expression.where}: no data: {asked}")
    for expression, label in variables():
        if not prometheus.ask(f"label/{label}/values", **{"match[]": expression.filled(RATE_INTERVAL)}):
            problems.append(f"{expression.where}: no values")
    return problems, given, empty


def check_metrics(prometheus):
    """Whether the metrics are those of docs/metrics.md, with their labels."""
    known = {}
    for name, (kind, labels) in documented().items():
        known |= series_of(name, kind, labels)
    problems, found = set(), {}
    for series in prometheus.ask("series", **{"match[]": '{__name__=~"(tandem|process)_.*",job="tandem"}'}):
        # Prometheus drops labels that are empty, as `reason` of what was answered.
        found.setdefault(series["__name__"], set()).update(set(series) - {"__name__", "job", "instance"})
    for name, labels in found.items():
        if name not in known:
            problems.add(f"{name}: not in docs/metrics.md")
        elif labels != known[name]:
            problems.add(f"{name}: has labels {sorted(labels)}, docs/metrics.md says {sorted(known[name])}")
    if not problems:
        print(f"the {len(found)} names of series that were scraped are in docs/metrics.md, with their labels")
    return sorted(problems)


def check_text(promtool, server):
    """promtool's own opinion on what /metrics says in the older text format."""
    _, text = server.get("/metrics", accept="text/plain;version=0.0.4")
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    said = (done.stdout + done.stderr).strip()
    if not said:
        print("promtool check metrics: nothing to complain of")
    return [f"promtool check metrics: {line}" for line in said.splitlines()]


def check_alerts(prometheus):
    """The alerts that should be there by now, and that Prometheus could evaluate every rule."""
    problems = []
    for group in prometheus.ask("rules")["groups"]:
        problems += [f"{rule['name']}: {rule['lastError']}" for rule in group["rules"] if rule["health"] != "ok"]
    there = prometheus.alerts()
    print(f"alerts that are pending or fire: {', '.join(sorted(there))}")
    absent = [name for name in EXPECTED_ALERTS if name not in there]
    return problems + [f"{name} should be there, since {EXPECTED_ALERTS[name]}" for name in absent]


def main():
    tandem, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    problems = []
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as running:
        work = pathlib.Path(temporary)
        server = Server(tandem, work)
        ours = running.enter_context(process(server.command, server.log, cwd=work))
        server.started()
        prometheus = Prometheus(folder / "prometheus", server, work)
        running.enter_context(process(prometheus.command, prometheus.log, cwd=work))
        prometheus.started()
        server.load()
        # Everything up to here is scraped, and seen by the rules.
        told = time.time() + 3
        until("the last scrape", lambda: (prometheus.values("min(timestamp(up))") or [0])[0] > told)
        found, given, empty = check_expressions(prometheus)
        problems += found + check_metrics(prometheus) + check_text(folder / "promtool", server)
        problems += check_alerts(prometheus)
        ours.send_signal(signal.SIGTERM)
        until("the alert that the server is down", lambda: "TandemDown" in prometheus.alerts())
    print(f"{given} of {len(expressions())} expressions gave data; without data:")
    print("\n".join(f"  {line}" for line in empty))
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
