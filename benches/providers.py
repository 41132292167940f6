#!/usr/bin/env python3
"""Compares a model on an execution provider with the same model on the processor, in the same minutes.

    benches/providers.py --library path/to/libonnxruntime.so --provider openvino MODEL...

MODEL is a model's folder, or `models/sentiment-deep/1` and the like. --library is the ONNX Runtime that has the provider; the
processor's side runs on the usual one, or on --cpu-library. For each model and load, both sides take turns (--rounds), each
with a server of its own; the table has the medians, and how many labels of --texts are equal. With --raw the provider's side is
compared with a bare loop over ONNX Runtime on the same hardware too. Prints Markdown; bounded: rounds x seconds x loads x
sides, about.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

LOADS = [(1, 1), (64, 1), (8, 32)]


def environment(library: str | None) -> dict[str, str]:
    """The variables of a side."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_")}
    if library:
        variables["ORT_DYLIB_PATH"] = library
    return variables


def bench(program: str, model: str, side: dict, load: tuple[int, int], seconds: float, raw: bool) -> dict:
    """One run of `tandem bench` with a server of its own."""
    callers, texts = load
    command = [program, "bench", "--spawn", "--rounds", "1", "--duration", f"{seconds}s", "--json", "-", "--route", "deep"]
    command += ["--concurrency", str(callers), "--batch-size", str(texts), "--deep", model]
    command += ["--deep-execution-providers", side["providers"]]
    if raw:
        command += ["--reference", "onnx"]
    ran = subprocess.run(command, env=environment(side["library"]), capture_output=True, text=True, timeout=seconds * 8 + 600)
    if ran.returncode != 0 and not ran.stdout.strip():
        sys.exit(f"{' '.join(command)}: {ran.stderr.strip()[-2000:]}")
    return json.loads(ran.stdout)


def labels(program: str, model: str, side: dict, texts: Path) -> list[str]:
    """The label of each text, by `tandem predict`."""
    command = [program, "predict", "--deep", model, "--route", "deep", "--json", "--file", str(texts)]
    command += ["--deep-execution-providers", side["providers"]]
    ran = subprocess.run(command, env=environment(side["library"]), capture_output=True, text=True, timeout=1800)
    if ran.returncode != 0:
        sys.exit(f"{' '.join(command)}: {ran.stderr.strip()[-2000:]}")
    return [json.loads(line).get("label", "") for line in ran.stdout.splitlines()]


def compare(args: argparse.Namespace, model: str) -> list[str]:
    """The rows of a model."""
    cpu = {"providers": "cpu", "library": args.cpu_library}
    other = {"providers": args.provider, "library": args.library}
    equal = "not compared"
    if args.texts:
        with tempfile.TemporaryDirectory() as folder:
            some = Path(folder) / "texts.txt"
            lines = args.texts.read_text(encoding="utf-8").splitlines()[: args.count]
            some.write_text("\n".join(lines) + "\n", encoding="utf-8")
            found, expected = labels(args.program, model, other, some), labels(args.program, model, cpu, some)
            same = sum(a == b for a, b in zip(found, expected, strict=True))
            equal = f"{same} of {len(expected)}"
    rows = []
    for load in LOADS:
        runs: dict[str, list[dict]] = {"cpu": [], "other": []}
        for turn in range(args.rounds):
            for name in ["cpu", "other"] if turn % 2 == 0 else ["other", "cpu"]:
                side = cpu if name == "cpu" else other
                print(f"{model} {load} {name} {turn + 1}", file=sys.stderr, flush=True)
                runs[name].append(bench(args.program, model, side, load, args.seconds, args.raw and name == "other"))

        def median(name: str, key: str) -> float:
            of_run = [run.get("measured") or run["comparison"]["server"][-1] for run in runs[name]]
            return statistics.median(one["latency"]["p50_ms"] if key == "p50" else one[key] for one in of_run)

        here, there = median("cpu", "texts_per_second"), median("other", "texts_per_second")
        row = f"| {Path(model).resolve().parent.name}/{Path(model).resolve().name} | {load[0]} × {load[1]} "
        row += f"| {here:,.0f} | {there:,.0f} | {there / here:.2f} | {median('cpu', 'p50'):.2f} | {median('other', 'p50'):.2f} "
        if args.raw:
            ratios = [run["comparison"]["ratios"]["wall"] for run in runs["other"]]
            row += f"| {statistics.median(ratios):.2f} "
        rows.append(row + f"| {equal} |")
    return rows


def main() -> None:
    """Reads the arguments, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--provider", required=True, help="as in deep_execution_providers: openvino, cuda, tensorrt(cache=/tmp/e),cuda")
    parser.add_argument("--library", help="the ONNX Runtime with the provider; ORT_DYLIB_PATH if absent")
    parser.add_argument("--cpu-library", help="the ONNX Runtime of the processor's side")
    parser.add_argument("--program", default="target/release/tandem")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--texts", type=Path, help="texts, one a line, whose labels are compared")
    parser.add_argument("--count", type=int, default=2000, help="how many of them")
    parser.add_argument("--raw", action="store_true", help="compares the provider's side with a bare loop too")
    args = parser.parse_args()
    raw = " of the bare loop |" if args.raw else ""
    print(f"| model | callers × texts | texts/s on cpu | on {args.provider} | ratio | p50 on cpu, ms | p50 there, ms |{raw} equal labels |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |" + (" ---: |" if args.raw else "") + " ---: |")
    for model in args.models:
        for row in compare(args, model):
            print(row, flush=True)


if __name__ == "__main__":
    main()
