"""Clients that others wrote and that the tests do not run: they need more than README.md asks for."""

import os
import shutil
import subprocess

from marks import judged
from server import ROOT, Server

HERE = os.path.dirname(os.path.abspath(__file__))


def install_grpc_js():
    """The folder of the client, with what it needs."""
    target = os.environ.get("CARGO_TARGET_DIR", f"{ROOT}/target")
    folder = f"{target}/tools/grpc-js"
    os.makedirs(folder, exist_ok=True)
    for file in ("package.json", "package-lock.json", "client.js"):
        shutil.copy(f"{HERE}/grpc-js/{file}", folder)
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True, capture_output=True)
    return folder


def grpc_js(options):
    """The client of Node.js: unary, deadline, details, stream, health all pass."""
    if not shutil.which("npm"):
        return "skipped: install Node.js"
    folder = install_grpc_js()
    with Server(options.program, models=("sentiment-fast", "sentiment-deep")) as server:
        command = ["node", "client.js", f"{ROOT}/proto", "%s:%d" % server.grpc]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    passed = ", ".join(done.stdout.split())
    told = f"passed: {passed}" + ("" if done.returncode == 0 else f"; failed: {done.stderr.strip()[:500]}")
    return judged(options, told, [("all pass", done.returncode == 0)])


ROWS = [grpc_js]
