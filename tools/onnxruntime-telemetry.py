#!/usr/bin/env python3
"""Looks for telemetry in ONNX Runtime's library for Linux: what it imports, which words it holds, and what it opens when it runs.

    tools/onnxruntime-telemetry.py VERSION          fetches the wheel of that version, and runs a model in it
    tools/onnxruntime-telemetry.py --library FILE   looks at a library that is here, without running it

Run it before ONNX Runtime's version is changed in build/onnxruntime.rs. Three questions, a line each:

- imports: does the library import functions that reach a network or start programs? A library that doesn't can't send anything.
- strings: does it hold addresses that telemetry is sent to, or settings of telemetry that is really there? Each library has a few
  words of the interface by which telemetry is turned off.
- run: which sockets and which files to write does a process open that loads it, runs a model and lives on for SECONDS, with the
  telemetry's defaults? Needs strace.

Exits 0 if nothing was found, 1 if something was, 2 if it could not look. Needs nm (binutils); VERSION needs pip.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# Functions of the C library by which a process reaches others.
REACHING = (
    "accept accept4 bind connect getaddrinfo gethostbyname getnameinfo listen recv recvfrom recvmsg res_query send sendmmsg sendmsg "
    "sendto socket socketpair execve execvp fork popen posix_spawn posix_spawnp system vfork"
).split()
# Prefixes of libraries that do it for them.
CLIENTS = re.compile(r"^(curl_|SSL_|BIO_|nghttp2_|ares_)")
# Where Microsoft's telemetry is sent to, and the names of what sends it.
WORDS = re.compile(rb"events\.data\.microsoft\.com|vortex[.-]|applicationinsights|OneCollector|1ds|ORT_DISABLE_TELEMETRY|"
                   rb"CURLOPT_|Microsoft\.ApplicationInsights", re.IGNORECASE)
# How long the process lives on after its run: what is sent late is sent by then.
SECONDS = 10

# A model of one addition, made without any library: `y = x + x`.
RUN = f"""
import time
import numpy, onnxruntime
field = lambda number, data: bytes([number << 3 | 2, len(data)]) + data
floats = field(1, bytes([8, 1]) + field(2, field(1, bytes([8, 2]))))
value = lambda name: field(1, name) + field(2, floats)
node = field(1, b"x") + field(1, b"x") + field(2, b"y") + field(4, b"Add")
graph = field(1, node) + field(2, b"g") + field(11, value(b"x")) + field(12, value(b"y"))
model = bytes([8, 9]) + field(7, graph) + field(8, bytes([16, 19]))
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
found = session.run(None, {{"x": numpy.ones(2, numpy.float32)}})[0]
assert list(found) == [2, 2], found
time.sleep({SECONDS})
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("version", nargs="?", metavar="VERSION")
    what.add_argument("--library", type=Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            library = options.library or fetch(options.version, Path(folder))
            findings = {"imports": imports(library), "strings": strings(library)}
            if options.version:
                findings["run"] = run(Path(folder))
        except subprocess.CalledProcessError as problem:
            print(f"could not look: {problem.cmd[0]} ended with {problem.returncode}", file=sys.stderr)
            return 2
        except OSError as problem:
            print(f"could not look: {problem}", file=sys.stderr)
            return 2
    print(f"{library.name}:")
    for question, found in findings.items():
        print(f"  {question}: {', '.join(found) or 'nothing'}")
    return 1 if any(findings.values()) else 0


def fetch(version, folder):
    """Installs the wheel of that version, with what it needs, and says where its library is."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-input"]
    command = [*pip, "--only-binary=:all:", "--target", folder, f"onnxruntime=={version}"]
    subprocess.run(command, check=True, env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"})
    return next(folder.glob("onnxruntime/capi/libonnxruntime.so.*"))


def imports(library):
    """The functions that the library imports and that reach others."""
    command = ["nm", "-D", "--undefined-only", "--format=just-symbols", library]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names = {line.split("@")[0].strip() for line in listed.splitlines()}
    return sorted(name for name in names if name in REACHING or CLIENTS.match(name))


def strings(library):
    """The words of telemetry that the library holds."""
    words = re.findall(rb"[\x20-\x7e]{6,}", library.read_bytes())
    return sorted({match.group().decode().lower() for word in words for match in [WORDS.search(word)] if match})


def run(folder):
    """The sockets, programs and files to write that a process opens which runs a model."""
    trace = folder / "trace"
    filters = "trace=socket,connect,sendto,sendmsg,execve,openat,open,creat"
    command = ["strace", "-f", "-qq", "-o", trace, "-e", filters, sys.executable, "-B", "-c", RUN]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder / "home"), "PYTHONPATH": str(folder)}
    subprocess.run(command, check=True, env=environment, cwd=folder)
    found = set()
    # The first line is the start of the process itself.
    for line in trace.read_text(errors="replace").splitlines()[1:]:
        call = line.split(None, 1)[-1]
        written = call.startswith(("open", "creat")) and re.search(r"O_WRONLY|O_RDWR|O_CREAT|^creat", call)
        if written or not call.startswith(("open", "---", "+++", "<...")):
            found.add(re.sub(r"\s*=\s*-?\d+.*$", "", call))
    return sorted(found)


if __name__ == "__main__":
    sys.exit(main())
