#!/usr/bin/env python3
"""The measured table of docs/comparison.md: Tandem beside other servers, with one model, the same texts and one client.

    tools/rivals/compare.py install                       # the rivals under target/tools/rivals/, about 2 GB
    tools/rivals/compare.py run MODEL TEXTS [--only NAME…] [--rounds 3] [--seconds 4]

MODEL: a folder of Tandem's or of transformers' (config.json, tokenizer.json, an ONNX file). TEXTS: a table with tabs and
a column `text`. Wants python3 of 3.11 or newer with venv, and wrk (Debian's package). PROGRAM names Tandem's program
(target/release/tandem).

In every round each server is started alone, has to give the right labels, and is asked over HTTP/1.1 on loopback by wrk, which
has one thread. Every loop has a bound; whatever a server started is ended with it.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
INSTALLED = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "tools/rivals"
THREADS = 2
CHECKED, ASKED = 64, 512
# Callers × texts a call.
LOADS = (1, 1), (64, 1), (8, 32)
START_LIMIT, STOP_LIMIT = 90, 15
# A server that answers fewer of the labels than this right is not measured: batches round differently, no more.
LEAST_AGREEMENT = 0.98


@dataclass(frozen=True)
class Server:
    """How one server is started and asked. `form`: the shape of its requests and answers."""

    title: str
    form: str
    environment: str = ""
    script: str = ""


SERVERS = {
    "nothing": Server("a server that does nothing", "nothing", "fastapi", "serve_nothing.py"),
    "tandem": Server("Tandem", "tandem"),
    "fastapi": Server("FastAPI, written by hand", "texts", "fastapi", "serve_fastapi.py"),
    "triton": Server("Triton, Python backend", "inference", "triton", "serve_triton.py"),
    "kserve": Server("KServe's Python server", "inference", "kserve", "serve_kserve.py"),
    "mlserver": Server("MLServer", "inference", "mlserver", "serve_mlserver.py"),
    "litserve": Server("LitServe", "texts", "litserve", "serve_litserve.py"),
}
PACKAGES = {"fastapi": "fastapi", "triton": "nvidia-pytriton", "kserve": "kserve", "mlserver": "mlserver", "litserve": "litserve"}


def path_of(form: str) -> str:
    return "/v2/models/texts/infer" if form == "inference" else "/predict"


def body_of(form: str, texts: list[str]) -> bytes:
    if form == "inference":
        # Triton takes rows of one column, and the others take the same.
        tensor = {"name": "text", "shape": [len(texts), 1], "datatype": "BYTES", "data": texts}
        value = {"inputs": [tensor]}
    else:
        value = {"text" if form == "tandem" else "texts": texts}
    return json.dumps(value, ensure_ascii=False).encode()


def labels_of(form: str, answer: bytes) -> list[str]:
    value = json.loads(answer)
    if form == "inference":
        [found] = [output["data"] for output in value["outputs"] if output["name"] == "label"]
        return found
    rows = value.values() if form == "tandem" else value
    return [row["label"] for row in rows]


def python_of(environment: str) -> Path:
    return INSTALLED / environment / "bin/python"


def command_of(name: str, model: Path, ports: list[int]) -> list[str]:
    if name != "tandem":
        return [str(python_of(SERVERS[name].environment)), str(HERE / SERVERS[name].script)]
    program = os.environ.get("PROGRAM", str(ROOT / "target/release/tandem"))
    http, grpc = (f"127.0.0.1:{port}" for port in ports)
    return [program, "serve", "--deep", str(model), "--http-addr", http, "--grpc-addr", grpc]


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def family(root: int) -> list[int]:
    """The process and all that it started, by /proc."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                pass
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def memory_mb(pids: list[int]) -> float:
    """Resident memory; a page that several of the processes share counts once."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def processor_seconds(pids: list[int]) -> float:
    total = 0
    for pid in pids:
        try:
            parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(parts[11]) + int(parts[12])
    return total / os.sysconf("SC_CLK_TCK")


class Running:
    """A server that runs, with its log; it and all that it started end with the block."""

    def __init__(self, name: str, model: Path, folder: Path) -> None:
        self.form = SERVERS[name].form
        ports = free_ports(2)
        self.url = f"http://127.0.0.1:{ports[0]}{path_of(self.form)}"
        settings = {"MODEL_FOLDER": str(model), "THREADS": str(THREADS), "RAYON_NUM_THREADS": str(THREADS)}
        settings |= {"PORT": str(ports[0]), "SPARE_PORT": str(ports[1]), "TOKENIZERS_PARALLELISM": "true"}
        self.log = folder / f"{name}.log"
        self.began = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command_of(name, model, ports),
                cwd=folder,
                env=os.environ | settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_) -> None:
        pids = family(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            pass
        # Those of them that are left: the same process only if its parent's end left it running.
        for pid in pids:
            try:
                if os.getsid(pid) == self.process.pid:
                    os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def ask(self, texts: list[str]) -> list[str]:
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.url, body_of(self.form, texts), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return labels_of(self.form, answer.read())

    def first_answer(self, text: str, labels: list[str]) -> float:
        """Seconds from the start until the right answer to a text comes, asked every 20 ms."""
        while time.monotonic() - self.began < START_LIMIT:
            if self.process.poll() is not None:
                break
            try:
                if self.ask([text]) == labels:
                    return time.monotonic() - self.began
            except (OSError, urllib.error.URLError, ValueError, KeyError):
                pass
            time.sleep(0.02)
        raise RuntimeError(f"no right answer in {START_LIMIT} s:\n{self.log.read_text(errors='replace')[-2000:]}")

    def load(self, callers: int, bodies: Path, seconds: float, texts: int) -> dict:
        command = ["wrk", "-t", "1", "-c", str(callers), "-d", f"{seconds:.0f}s", "--timeout", "10s"]
        command += ["-s", str(HERE / "load.lua"), self.url, "--", str(bodies)]
        pids = family(self.process.pid)
        before = processor_seconds(pids)
        ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True)
        used = processor_seconds(pids) - before
        found = json.loads(ran.stdout.strip().splitlines()[-1])
        if found["failed"]:
            raise RuntimeError(f"{found['failed']} of {found['calls']} calls failed:\n{self.log.read_text(errors='replace')[-2000:]}")
        # wrk leaves at the end of its time: what it had sent is worked off before the next load.
        self.ask(["."])
        answered = max(found["calls"] * texts, 1)
        return found | {"texts_a_second": answered / found["seconds"], "processor_ms": 1000 * used / answered}


@dataclass
class Measured:
    """The rounds of one server."""

    start: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    agreed: list[float] = field(default_factory=list)
    loads: dict = field(default_factory=lambda: {load: [] for load in LOADS})


def read_texts(path: Path) -> list[str]:
    lines = path.read_text().splitlines()
    column = lines[0].split("\t").index("text")
    texts = [line.split("\t")[column] for line in lines[1 : ASKED + 1]]
    if len(texts) < CHECKED:
        sys.exit(f"{path}: {len(texts)} texts, and {CHECKED} are needed")
    return texts


def expected_labels(model: Path, texts: list[str]) -> list[str]:
    """What the bare session says of each text alone."""
    command = [str(python_of("fastapi")), str(HERE / "classifier.py"), str(model)]
    ran = subprocess.run(command, input="\n".join(texts), capture_output=True, text=True, timeout=120, check=True)
    return ran.stdout.split("\n")[: len(texts)]


def write_bodies(folder: Path, texts: list[str]) -> None:
    for form in "tandem", "texts", "inference", "nothing":
        for size in {size for _, size in LOADS}:
            groups = [texts[start : start + size] for start in range(0, len(texts) - size + 1, size)]
            lines = b"\n".join(body_of(form, group) for group in groups)
            (folder / f"{form}-{size}.jsonl").write_bytes(lines + b"\n")


def one_round(name: str, model: Path, folder: Path, texts: list[str], labels: list[str], seconds: float, into: Measured) -> None:
    with Running(name, model, folder) as running:
        into.start.append(running.first_answer(texts[0], labels[:1] if name != "nothing" else []))
        if name != "nothing":
            found = running.ask(texts[:32]) + running.ask(texts[32:CHECKED])
            same = sum(a == b for a, b in zip(found, labels, strict=True)) / len(labels)
            if same < LEAST_AGREEMENT:
                raise RuntimeError(f"{same:.0%} of the labels are right")
            into.agreed.append(same)
        for callers, size in LOADS:
            bodies = folder / f"{running.form}-{size}.jsonl"
            running.load(callers, bodies, 1, size)
            found = running.load(callers, bodies, seconds, size)
            if not found["calls"]:
                raise RuntimeError(f"no answer in {seconds} s, {callers} callers × {size} texts")
            into.loads[callers, size].append(found)
        into.memory.append(memory_mb(family(running.process.pid)))


def figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def machine() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    name = names[0].partition(":")[2].strip() if names else platform.machine()
    return f"{len(os.sched_getaffinity(0))} cores of {name}"


def version_of(name: str) -> str:
    if name == "nothing":
        return ""
    if name == "tandem":
        return subprocess.run(command_of(name, ROOT, [0, 0])[:1] + ["--version"], capture_output=True, text=True).stdout.split()[1]
    environment = SERVERS[name].environment
    pins = (HERE / f"requirements/{environment}.txt").read_text().splitlines()
    [version] = [line.partition("==")[2] for line in pins if line.startswith(PACKAGES[environment] + "==")]
    return f"{PACKAGES[environment]} {version}"


def row(name: str, of: Measured) -> str:
    def median(load: tuple, key: str) -> float:
        return statistics.median(found[key] for found in of.loads[load])

    title = SERVERS[name].title + (f" ({version})" if (version := version_of(name)) else "")
    cells = [figure(median((1, 1), key)) for key in ("p50_ms", "p99_ms")]
    cells += [figure(median(load, "texts_a_second")) for load in LOADS]
    cells += [figure(median((64, 1), "processor_ms")), figure(statistics.median(of.memory)), figure(statistics.median(of.start))]
    return f"| {title} | " + " | ".join(cells) + " |"


def table(all_of: dict, model: Path, rounds: int, seconds: float) -> str:
    named = model.parent.name if model.name.isdigit() else model.name
    today = datetime.datetime.now(datetime.timezone.utc).strftime("%-d %B %Y")
    lines = [
        f"{today}, {machine()}; medians of {rounds} rounds, {seconds:.0f} s a load. Model: `{named}`.",
        "",
        "| server | 1 × 1: p50, ms | 1 × 1: p99, ms | 1 × 1: texts/s | 64 × 1: texts/s | 8 × 32: texts/s "
        "| 64 × 1: processor, ms a text | memory, MB | first right answer, s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    return "\n".join(lines + [row(name, of) for name, of in all_of.items() if of.memory])


def install() -> None:
    for environment in PACKAGES:
        pins = HERE / f"requirements/{environment}.txt"
        done = INSTALLED / environment / "installed.txt"
        if done.exists() and done.read_bytes() == pins.read_bytes():
            continue
        shutil.rmtree(INSTALLED / environment, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(INSTALLED / environment)], check=True)
        pip = [str(python_of(environment)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run(pip + ["--no-deps", "--requirement", str(pins)], check=True)
        shutil.copyfile(pins, done)


def run(arguments: argparse.Namespace) -> int:
    if shutil.which("wrk") is None:
        sys.exit("wrk is not here: it is Debian's package of that name")
    model = arguments.model.resolve()
    names = [name for name in SERVERS if not arguments.only or name in arguments.only]
    all_of, failed = {name: Measured() for name in names}, {}
    with tempfile.TemporaryDirectory(prefix="rivals-") as place:
        folder = Path(place)
        texts = read_texts(arguments.texts)
        labels = expected_labels(model, texts[:CHECKED])
        write_bodies(folder, texts)
        for turn in range(arguments.rounds):
            # Every other round backwards: nobody is always first.
            for name in names if turn % 2 == 0 else reversed(names):
                if name in failed:
                    continue
                print(f"round {turn + 1}: {name}", file=sys.stderr, flush=True)
                try:
                    one_round(name, model, folder, texts, labels, arguments.seconds, all_of[name])
                except (RuntimeError, OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
                    failed[name] = error
                    print(f"{name}: {error}", file=sys.stderr, flush=True)
    whole = {name: of for name, of in all_of.items() if name not in failed}
    print(table(whole, model, arguments.rounds, arguments.seconds))
    for name, of in whole.items():
        if of.agreed and min(of.agreed) < 1:
            print(f"\n{SERVERS[name].title}: {min(of.agreed):.1%} of {CHECKED} labels as the bare session has them.")
    for name in failed:
        print(f"\n{SERVERS[name].title}: not measured, it failed.")
    return 1 if failed else 0


def main() -> int:
    # So that a server is ended with its round, whoever ends this program.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install")
    runs = commands.add_parser("run")
    runs.add_argument("model", type=Path)
    runs.add_argument("texts", type=Path)
    runs.add_argument("--only", nargs="+", choices=SERVERS, help="these servers alone")
    runs.add_argument("--rounds", type=int, default=3, choices=range(1, 10))
    runs.add_argument("--seconds", type=int, default=4, choices=range(1, 31))
    arguments = parser.parse_args()
    if arguments.command == "install":
        install()
        return 0
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
