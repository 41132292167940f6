"""Servers for the tests: the real program, on ports that the system chooses.

TANDEM names the program (target/release/tandem, or what is on the PATH), TANDEM_CERTIFICATES a folder with ca.pem,
cert.pem and key.pem for localhost, which openssl makes if it is not given.
"""

import asyncio
import atexit
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.request
from pathlib import Path

import tandem_text

ROOT = Path(__file__).resolve().parents[3]
FAST = ("--fast", ROOT / "models/sentiment-fast/1")
BOTH = ("--models", ROOT / "models")
# gRPC would ask a proxy for this machine too.
for _name in list(os.environ):
    if _name.lower().endswith("_proxy"):
        del os.environ[_name]
#: Longer than anything here takes.
BOUND_S = 120
# A busy machine is no fault of the client's: what a test does not time has as long as it takes.
for _kind in (tandem_text.Client, tandem_text.AsyncClient):
    _kind.__init__.__kwdefaults__["request_timeout"] = BOUND_S


def program():
    found = os.environ.get("TANDEM") or shutil.which("tandem") or ROOT / "target/release/tandem"
    if not Path(found).exists():
        raise FileNotFoundError("no server to test against: name it by TANDEM, or build it with cargo build --release")
    return str(found)


def patient(script):
    """An example with time enough for a busy machine, in the one event loop of all tests: gRPC's part for asyncio does
    not do well with several after each other."""
    # Not those that are meant to be over before the answer.
    script = re.sub(r"timeout=(?!0\.0)[\d.]+", f"timeout={BOUND_S}", script)
    return script.replace("asyncio.run(", "run(")


class Server:
    """A server that is killed at the end of the tests: with both models, or with the fast one alone, which starts
    sooner."""

    def __init__(self, *args, models=FAST, ready=True, address="127.0.0.1:0"):
        command = [program(), "serve", *models, "--log-format", "json"]
        command += ["--grpc-addr", address, "--http-addr", "127.0.0.1:0"]
        env = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_")}
        self.process = subprocess.Popen(
            [*command, *args], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env, text=True, cwd=scratch()
        )
        atexit.register(self.kill)
        self.lines = []
        self._changed = threading.Condition()
        self._ended = False
        threading.Thread(target=self._read, daemon=True).start()
        self.address = self.line("listening")["grpc"]
        self.http = self.line("listening")["http"]
        if ready:
            self.line("ready")

    def _read(self):
        for line in self.process.stderr:
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def line(self, message, more=lambda line: True):
        """The first line of the log with that message, from now or before."""

        def find():
            for text in self.lines:
                line = json.loads(text) if text.startswith("{") else {}
                if line.get("message") == message and more(line):
                    return line
            return "ended" if self._ended else None

        with self._changed:
            found = self._changed.wait_for(find, BOUND_S)
        if not isinstance(found, dict):
            raise AssertionError(f"no line says {message}: {''.join(self.lines)}")
        return found

    def texts(self):
        """How many texts it has answered."""
        with urllib.request.urlopen(f"http://{self.http}/metrics", timeout=BOUND_S) as answer:
            lines = answer.read().decode().splitlines()
        return sum(int(line.split()[-1]) for line in lines if line.startswith("tandem_texts_total"))

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def kill(self):
        self.process.kill()
        self.process.wait()


_SHARED = {}


def shared(*args):
    """The one server with these flags, for tests that leave it as it is. The one without flags has both models."""
    if args not in _SHARED:
        _SHARED[args] = Server(*args, models=FAST if args else BOTH)
    return _SHARED[args]


def scratch():
    """A folder that goes with the process."""
    if "folder" not in _SHARED:
        _SHARED["folder"] = tempfile.mkdtemp(prefix="tandem-text-")
        atexit.register(shutil.rmtree, _SHARED["folder"], ignore_errors=True)
    return Path(_SHARED["folder"])


def certificates():
    """A folder with ca.pem, and cert.pem with key.pem for localhost and 127.0.0.1."""
    if "TANDEM_CERTIFICATES" in os.environ:
        return Path(os.environ["TANDEM_CERTIFICATES"])
    folder = scratch() / "certificates"
    if not folder.exists():
        folder.mkdir()
        (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test"
        ask = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost"
        for line in (
            f"{new} -keyout ca-key.pem -out ca.pem",
            f"{ask} -keyout key.pem -out request.pem",
            "x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -set_serial 2 -days 2 -out cert.pem -extfile names",
        ):
            subprocess.run(["openssl", *line.split()], cwd=folder, check=True, capture_output=True)
    return folder


def keys(text):
    """A file of keys: `name:token limits` a line."""
    path = scratch() / f"keys-{len(list(scratch().iterdir()))}"
    path.write_text(text)
    return str(path)


_LOOP = asyncio.new_event_loop()


def run(coroutine):
    """Runs a coroutine, in the one loop of all tests: gRPC's part for asyncio complains of loops that were closed."""
    return _LOOP.run_until_complete(asyncio.wait_for(coroutine, BOUND_S))
