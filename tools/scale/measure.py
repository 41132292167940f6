#!/usr/bin/env python3
"""Measures what tools/autoscale/measure.py does not: calls of many texts, the cascade, memory, and how a real server compares with
the simulated one, into measured.json beside this file.

    tools/scale/measure.py [--program PROGRAM] [--out FILE] [--only PART]

What things cost is processor time, by /proc, and goes into the simulator as a ratio of two loads of the same minute: on a busy
machine the time on the clock says nothing, and a ratio of processor times little changes. Each part is written as soon as it is
known; --only measures one again (costs, closed, open, memory).
"""

import argparse
import datetime
import importlib.util
import json
import os
import statistics
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
ROUNDS = 3
# Route, callers, texts a call, calls.
LOADS = {
    "fast": ("fast", 64, 1, 10_000),
    "fast_bulk": ("fast", 4, 128, 1_600),
    "deep": ("deep", 64, 1, 640),
    "deep_bulk": ("deep", 4, 128, 8),
    "cascade": ("cascade", 64, 1, 1_600),
    "cascade_bulk": ("cascade", 4, 128, 20),
}
# How long to wait for a moment in which hardly anything else runs.
WAIT_S = 60
# On a busy machine calls take long.
PATIENT = ("--timeout", "60s")
CALLERS = (2, 4, 8, 16, 32)


def autoscale():
    """tools/autoscale/measure.py, which starts servers and reads their processor time. It has this file's name."""
    spec = importlib.util.spec_from_file_location("autoscale_measure", f"{HERE}/../autoscale/measure.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SHARED = autoscale()


def costs(program):
    """Processor microseconds a text, the cheapest of rounds that alternate, and what the cascade gave to the deep model."""
    server, retries = SHARED.settled(program)
    found = {name: [] for name in LOADS}
    try:
        for _ in range(ROUNDS):
            for name, (route, callers, size, calls) in LOADS.items():
                done = server.load(route, callers, size, calls, PATIENT)
                deep = done["texts"] / (size * calls)
                found[name].append((1000 * done["cpu_ms"] / (size * calls), deep, done["texts"] / max(done["runs"], 1)))
    finally:
        server.stop()
    best = {name: min(rounds) for name, rounds in found.items()}
    return {
        "microseconds_a_text": {name: round(cost, 2) for name, (cost, _, _) in best.items()},
        "all_rounds": {name: [round(cost, 1) for cost, _, _ in rounds] for name, rounds in found.items()},
        "escalated": round(best["cascade_bulk"][1], 3),
        "texts_a_run": {name: round(run, 1) for name, (_, _, run) in best.items() if "fast" not in name},
        "disturbed_starts": retries,
    }


def closed(program):
    """One core, deep, callers of one text each: texts a run, and processor microseconds a text."""
    server, _ = SHARED.settled(program)
    try:
        rows = []
        for callers in CALLERS:
            rounds = [server.load("deep", callers, 1, 320, PATIENT) for _ in range(ROUNDS)]
            fill = [done["texts"] / done["runs"] for done in rounds]
            cost = [1000 * done["cpu_ms"] / done["calls"] for done in rounds]
            fill = round(statistics.median(fill), 2)
            rows.append({"callers": callers, "texts_a_run": fill, "microseconds_a_text": round(min(cost))})
        return rows
    finally:
        server.stop()


def quiet(within_s):
    """Waits until hardly anything else runs; whether that came in time."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        with open("/proc/loadavg") as file:
            if int(file.read().split()[3].split("/")[0]) <= 2:
                return True
        time.sleep(0.05)
    return False


def open_loop(program):
    """Two cores, deep, calls that arrive by a schedule at 60 % of what the server can do in that minute.

    Times are in units of a lone caller's median of the same minute. `share_of_cores`: what client and server got of the time of two
    cores, with 64 callers, before the round or after it, whichever is less. Far below 1, times say nothing."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    server = SHARED.Server(program, ("--idle-threads", "1"), ",".join(map(str, cores)))
    full = lambda: server.load("deep", 64, 1, 400, PATIENT)
    used = lambda done: done["cpu_ms"] / 1000 + done["answer"]["client_cpu_seconds"]
    share = lambda done: used(done) / len(cores) / done["answer"]["seconds"]
    rows = []
    try:
        full()
        for _ in range(5):
            quiet(WAIT_S)
            before = full()
            lone = server.load("deep", 1, 1, 60, PATIENT)["answer"]["latency"]["p50_ms"]
            done = server.load("deep", 1, 1, 800, ("--rate", f"{0.6 * before['answer']['calls_per_second']:.1f}", *PATIENT))
            after = full()
            latency = done["answer"]["latency"]
            rows.append({
                "able_calls_a_second": round(before["answer"]["calls_per_second"], 1),
                "share_of_cores": round(min(share(before), share(after)), 2),
                "lone_ms": round(lone, 2),
                "p50_of_lone": round(latency["p50_ms"] / lone, 2),
                "p99_of_lone": round(latency["p99_ms"] / lone, 2),
                "texts_a_run": round(done["texts"] / done["runs"], 2),
                "full_texts_a_run": round(before["texts"] / before["runs"], 1),
                "microseconds_a_text": round(1000 * done["cpu_ms"] / done["calls"]),
                "full_microseconds_a_text": round(1000 * min(before["cpu_ms"], after["cpu_ms"]) / before["calls"]),
            })
            print(rows[-1], flush=True)
        return rows
    finally:
        server.stop()


def memory(program):
    """Peak resident MB by sessions of the deep model, under load; then what 1,000 connections add, in KB each."""
    found = {}
    for sessions in (1, 2, 4):
        server = SHARED.Server(program, ("--deep-instances", str(sessions)))
        try:
            server.load("deep", 64, 1, 320, PATIENT)
            server.load("fast", 64, 1, 2_000, PATIENT)
            before = server.memory_mb()
            found[str(sessions)] = round(before)
            if sessions == 1:
                server.load("fast", 1_000, 1, 10_000, ("--connections", "1000", *PATIENT))
                found["connection_kb"] = round((server.memory_mb() - before) * 1024 / 1000, 1)
        finally:
            server.stop()
    return found


PARTS = {"costs": costs, "closed": closed, "open": open_loop, "memory": memory}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=f"{os.environ.get('CARGO_TARGET_DIR', ROOT + '/target')}/release/tandem")
    parser.add_argument("--out", default=f"{HERE}/measured.json")
    parser.add_argument("--only", choices=PARTS)
    options = parser.parse_args()
    version = subprocess.run([options.program, "--version"], check=True, capture_output=True, text=True).stdout.split("\n")[0]
    found = {}
    # What is not measured here stays: runs of other times.
    if os.path.exists(options.out):
        with open(options.out) as file:
            found = json.load(file)
    found["program"] = version
    for name in [options.only] if options.only else PARTS:
        found[name] = {
            "command": f"tools/scale/measure.py --only {name}", "date": datetime.date.today().isoformat(),
            "machine": SHARED.machine(), "found": PARTS[name](options.program),
        }
        with open(options.out, "w") as file:
            json.dump(found, file, indent=1)
            file.write("\n")
        print(name, json.dumps(found[name]), flush=True)


if __name__ == "__main__":
    main()
