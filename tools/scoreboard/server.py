"""The server under attack: the real program with the fast model alone, and what its process costs."""

import json
import os
import resource
import shutil
import subprocess
import tempfile
import threading
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


class Server:
    """A running server of shipped models by name, or of another repository; `files` bounds its open files.

    `ports` are gRPC's and the gateway's; 0 is a free one."""

    def __init__(self, program, *flags, files=None, models=("sentiment-fast",), environment=None, repository=None, wait=True, ports=(0, 0)):
        self.models = tempfile.TemporaryDirectory()
        for model in models:
            # A copy: links that lead out of a repository are refused.
            shutil.copytree(f"{ROOT}/models/{model}", f"{self.models.name}/{model}")
        grpc, http = (f"127.0.0.1:{port}" for port in ports)
        command = [program, "serve", "--grpc-addr", grpc, "--http-addr", http, "--log-format", "json"]
        command += ["--models", repository or self.models.name, "--default-route", "fast", *flags]
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None
        everything = {**os.environ, **(environment or {})}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=limit, env=everything)
        self.lines = []
        self.wait_for("listening")
        if wait:
            self.wait_for("ready")
            self.drain_log()

    def wait_for(self, message):
        """Reads the log up to a line, and keeps the addresses."""
        while True:
            line = self.process.stderr.readline()
            if not line:
                raise SystemExit(f"the server ended: {self.lines}")
            self.lines.append(line)
            try:
                entry = json.loads(line)
            except ValueError:
                self.process.kill()
                raise SystemExit(f"the server said: {line}") from None
            if entry.get("message") == "listening":
                split = lambda key: (entry[key].rsplit(":", 1)[0], int(entry[key].rsplit(":", 1)[1]))
                self.grpc, self.http = split("grpc"), split("http")
            if entry.get("message") == message:
                return

    def drain_log(self):
        """Goes on reading, so that the server never waits for us."""
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stderr), daemon=True)
        self.reader.start()

    def status_mb(self, key):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(key)) / 1024

    def memory_mb(self):
        """What it holds now."""
        return self.status_mb("VmRSS")

    def peak_mb(self):
        """The most that it has held."""
        return self.status_mb("VmHWM")

    def forget_peak(self):
        """The peak starts again from what is held now."""
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as marks:
            marks.write("5")

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self, signal, limit):
        """Signals it, waits until it has ended; its exit code and how long that took."""
        started = time.monotonic()
        self.process.send_signal(signal)
        code = self.process.wait(limit)
        return code, time.monotonic() - started

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.models.cleanup()
