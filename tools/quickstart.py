#!/usr/bin/env python3
"""Runs the commands of README.md, README.ko.md and docs/quickstart.md and compares what they print:

    tools/quickstart.py target/debug/tandem [PAGE …]

Lines after `$ ` in blocks of `console` are commands, which go on after a line that ends with a backslash; the lines below one
are what it prints, and without any only its exit code counts. `…` in a line stands for any text, in a line of its own for any
lines; numbers with a point may differ by a hundredth of themselves. A `serve` in a block of `sh` is started, in place of the one
before, which must end with 0 when told to; other lines of such blocks are not run. Ports are free ones, and models go into a
folder that is removed.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ["README.md", "README.ko.md", "docs/quickstart.md"]
BLOCK = re.compile(r"^```(console|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A line of a block that starts a server, and nothing before it.
SERVES = re.compile(r"\A(target/release/tandem|cargo run --release --) serve\b")
NUMBER = re.compile(r"\d+\.\d+")
PROGRAMS = ["target/release/tandem", "cargo run --release --"]
MODELS = ["target/quickstart", "target/my-models"]
# Seconds: a program without optimizations, on a busy machine.
LIMIT = 600


def alike(wanted, found):
    """Whether a line is what the page has."""
    pieces = [NUMBER.sub("\0", piece) for piece in wanted.split("…")]
    pattern = ".*".join(re.escape(piece).replace("\0", r"(\d+\.\d+)") for piece in pieces)
    match = re.fullmatch(pattern, found)
    if not match:
        return False
    numbers = [float(number) for piece in wanted.split("…") for number in NUMBER.findall(piece)]
    # A number right before a `…` may have more digits.
    return all(abs(one - float(other)) <= 0.01 * abs(one) for one, other in zip(numbers, match.groups()))


def difference(wanted, found):
    """The first line of the page that is not there, or nothing. A `…` alone skips lines."""
    if not wanted:
        return None
    at, skip = 0, False
    for line in wanted:
        if line == "…":
            skip = True
            continue
        while skip and at < len(found) and not alike(line, found[at]):
            at += 1
        if at >= len(found) or not alike(line, found[at]):
            return line
        at, skip = at + 1, False
    return None if skip or at == len(found) else f"(nothing more after: {wanted[-1]})"


class Server:
    """The server that the page has running."""

    def __init__(self, command, environment):
        environment = {**environment, "TANDEM_GRPC_ADDR": "127.0.0.1:0", "TANDEM_HTTP_ADDR": "127.0.0.1:0", "TANDEM_LOG_FORMAT": "json"}
        self.process = subprocess.Popen(command, shell=False, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        self.addresses = {}
        for line in self.process.stderr:
            said = json.loads(line) if line.startswith("{") else {}
            if said.get("message") == "listening":
                self.addresses = {"localhost:50051": said["grpc"], "localhost:5000": said["http"]}
            if said.get("message") == "ready":
                break
        else:
            sys.exit(f"{' '.join(command)}: ended with {self.process.wait()} before it was ready")
        # What it says after that has to be read.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def end(self):
        self.process.send_signal(signal.SIGINT)
        if self.process.wait(LIMIT) != 0:
            sys.exit(f"the server ended with {self.process.returncode}")


def commands(block):
    """The commands of a block and the lines below each."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *printed = part.rstrip("\n").split("\n")
        while command.endswith("\\"):
            command = command[:-1] + printed.pop(0)
        yield command, printed


def run_page(page, program, environment):
    """Runs one page. Gives the number of its commands."""
    server, count = None, 0
    with tempfile.TemporaryDirectory() as folder:
        meant = {**dict.fromkeys(PROGRAMS, program), **dict.fromkeys(MODELS, folder)}
        try:
            for language, block in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
                if language == "sh" and not SERVES.search(block):
                    continue
                for name, value in {**meant, **(server.addresses if server and language == "console" else {})}.items():
                    block = block.replace(name, value)
                if language == "sh":
                    if server:
                        server.end()
                    server = Server(block.split("#")[0].split(), environment)
                    continue
                for command, printed in commands(block):
                    if "| jq " in command and not shutil.which("jq"):
                        print(f"skipped, jq is not here: {page}: {command}")
                        continue
                    done = subprocess.run(command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT)
                    lost = difference(printed, (done.stdout + done.stderr).rstrip("\n").split("\n"))
                    if done.returncode or lost:
                        sys.exit(f"{page}: $ {command}\n{done.stdout}{done.stderr}\nexit code {done.returncode}, the page has: {lost}")
                    count += 1
            if server:
                server.end()
                server = None
        finally:
            if server:
                server.process.kill()
    return count


def main(program, pages):
    """Runs the pages."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM")}
    grpcurl = subprocess.run([ROOT / "tools" / "test-tools.sh", "grpcurl"], check=True, capture_output=True, text=True).stdout.strip()
    environment["PATH"] = f"{os.path.dirname(grpcurl)}:{environment['PATH']}"
    for page in pages or PAGES:
        count = run_page(page, str(pathlib.Path(program).resolve()), environment)
        print(f"ok -- {page}: {count} commands print what it says")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
