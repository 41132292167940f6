"""Writes the Markdown table of a folder that compare.sh filled: ratios of medians, with the targets beside them."""

import json
import sys
from pathlib import Path

# Row, what it is, and the target of each figure that it has.
ROWS = [
    ("deep-8x32", "deep, 8 callers × 32 texts", {"cpu": "≥ 0.98"}),
    ("deep-64x1", "deep, 64 callers × 1 text", {"cpu": "≥ 0.95"}),
    ("minilm-8x32", "MiniLM's size, 8 callers × 32 texts", {"cpu": "≥ 0.97"}),
    ("minilm-64x1", "MiniLM's size, 64 callers × 1 text", {"cpu": "≥ 0.95"}),
    ("minilm-1x1", "MiniLM's size, 1 caller × 1 text", {"added": "≤ 0.3 ms"}),
    ("deep-1x1", "deep, 1 caller × 1 text", {"added": "≤ 0.3 ms"}),
    ("fast-64x1", "fast, 64 callers × 1 text", {"cpu": "≥ 0.75"}),
    ("fast-1x1", "fast, 1 caller × 1 text", {"added": "≤ 0.03 ms"}),
    ("fast-8x32", "fast, 8 callers × 32 texts", {"wall": "≥ 0.75"}),
]


def middle(rounds: list[dict], key: str) -> float:
    values = sorted(round[key] for round in rounds if round[key] is not None)
    return (values[len(values) // 2] + values[(len(values) - 1) // 2]) / 2 if values else float("nan")


def comparisons(folder: Path) -> None:
    print("| what | against | texts/s: server, reference, ratio | processor µs a text: server, reference, ratio | target |")
    print("| --- | --- | ---: | ---: | ---: |")
    for name, title, targets in ROWS:
        file = folder / f"{name}.json"
        if not file.exists():
            continue
        found = json.loads(file.read_text())["comparison"]
        ours, theirs, ratios = found["server"], found["reference_rounds"], found["ratios"]
        cells = []
        for key, ratio in (("texts_per_second", "wall"), ("cpu_us_per_text", "cpu")):
            value = ratios[ratio] if ratios[ratio] is not None else float("nan")
            cells.append(f"{middle(ours, key):.1f}, {middle(theirs, key):.1f}, **{value:.2f}**")
        if "added" in targets:
            # One text at a time: the loop runs on every core and the caller waits, so rates say nothing.
            cells = ["", f"added at p50: **{ratios['added_p50_ms']:.3f} ms**"]
        target = ", ".join(f"{key} {value}" for key, value in targets.items())
        print(f"| {title} | {found['reference']} | {cells[0]} | {cells[1]} | {target} |")


def behaviours(folder: Path) -> None:
    def load(name: str) -> dict | None:
        file = folder / f"{name}.json"
        return json.loads(file.read_text()) if file.exists() else None

    print("\n| what | found | target |\n| --- | ---: | ---: |")
    if run := load("overload"):
        refusals = run["overload"]["overloaded"]["refusals"]
        late = run["overload"]["overloaded"]["sent_late"]
        print(f"| overload × 10: answers in time by the best without | {run['overload']['kept']:.2f} | ≥ 0.92 |")
        if refusals:
            print(f"| overload × 10: refusals at p99, of which this client sent late | {refusals['p99_ms']:.2f} ms, {late['p99_ms']:.2f} ms | ≤ 5 ms |")
    if run := load("health"):
        print(f"| health checks at p99, both cores full | {run['health']['p99_ms']:.2f} ms | ≤ 50 ms |")
    if (alone := load("interactive")) and (behind := load("interactive-behind-bulk")):
        p99 = [run["measured"]["latency"]["p99_ms"] for run in (alone, behind)]
        print(f"| interactive at p99: alone, behind bulk | {p99[0]:.2f} ms, {p99[1]:.2f} ms | alone + one bulk batch (10 ms) |")
    if run := load("deadlines"):
        failures = sum(failure["latency"]["count"] for failure in run["measured"]["failures"])
        print(f"| 10,000 calls with deadlines of 1–50 ms: answered, failed | {run['measured']['calls_answered']}, {failures} | |")
    if run := load("cancel"):
        measured = run["measured"]
        failures = sum(failure["latency"]["count"] for failure in measured["failures"])
        counts = [measured["calls_cancelled"], failures, measured["wrong_answers"], run["leftover"]["queued_texts"]]
        print(
            "| 100,000 calls, half cancelled: cancelled, failed otherwise, wrong answers, texts left in queues "
            f"| {', '.join(map(str, counts))} | –, 0, 0, 0 |"
        )


if __name__ == "__main__":
    comparisons(Path(sys.argv[1]))
    behaviours(Path(sys.argv[1]))
