"""A server that tools/deploy/run.py starts, and what its log says."""

import json
import ssl
import subprocess
import threading
import time

PATIENCE = 60


class Server:
    def __init__(self, binary, arguments, variables, user):
        self.command, self.variables = [binary, *arguments, "--log-format", "json"], variables
        self.user = user
        self.doors, self.lines, self.more = {}, [], threading.Condition()
        self.ended = False

    def __enter__(self):
        began = time.monotonic()
        self.process = subprocess.Popen(self.command, env=self.variables, stderr=subprocess.PIPE, text=True, cwd="/", **self.user)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        try:
            self.wait("ready")
        except BaseException:
            self.process.kill()
            self.process.wait()
            self.reader.join()
            raise
        self.took = time.monotonic() - began
        listening = next(line for line in self.lines if line.get("message") == "listening")
        self.doors = {key: value for key, value in listening.items() if isinstance(value, str) and value.startswith("127.0.0.1:")}
        return self

    def __exit__(self, *_):
        self.end()

    def drain(self):
        """The first signal, until it is heard: two at once might count as one."""
        self.process.terminate()
        self.wait("told to stop, draining")

    def end(self):
        """The second signal, which ends the pause."""
        try:
            if self.process.poll() is None:
                self.drain()
                self.process.terminate()
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self.reader.join()

    def read(self):
        for line in self.process.stderr:
            with self.more:
                self.lines.append(json.loads(line) if line.startswith("{") else {"message": line.rstrip()})
                self.more.notify_all()
        with self.more:
            self.ended = True
            self.more.notify_all()

    def wait(self, message):
        """Until the log has this message."""
        def there():
            return self.ended or any(line.get("message") == message for line in self.lines)

        with self.more:
            if not self.more.wait_for(there, PATIENCE) or self.ended:
                raise SystemExit(f"{self.command}: no '{message}' in the log: {self.lines[-3:]}")

    @staticmethod
    def certificate(address):
        host, _, port = address.rpartition(":")
        return ssl.get_server_certificate((host, int(port)), timeout=20)
