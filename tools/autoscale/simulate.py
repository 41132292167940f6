#!/usr/bin/env python3
"""Simulates a day of calls to replicas that Kubernetes adds and takes away, for each of several ways to scale, and prints a table.

    tools/autoscale/simulate.py [--seed NUMBER] [--pod-start SECONDS] [--peak REPLICAS] [--measured FILE] [--ways TEXT]
    [--short]

Python's standard library alone. The costs of a text and the start of a server are measured (measure.py, measured.json); the rest
is a model: replica.py, day.py, hpa.py say what it holds. The same seed gives the same table. --pod-start is what a pod takes beside
the program's own start: a place on a node, the image, the first probe. --peak: how many replicas the busiest hour of the day keeps
busy at 100 %. --ways: those alone whose name has the text. --short: two ways, over the two hours around the burst.
"""

import argparse
import json
import os
from dataclasses import dataclass

import day
from hpa import DOWN, SYNC_S, UP, Autoscaler, Direction, Policy
from replica import Costs, curve, under

HERE = os.path.dirname(os.path.abspath(__file__))
LEAST, MOST = 2, 30


@dataclass(frozen=True)
class Scaling:
    """One way to scale: metrics with their targets a replica, and how they are read."""

    name: str
    targets: tuple = ()
    up: Direction = UP
    down: Direction = DOWN
    window_s: int = 60
    lag_s: int = 0
    poll_s: int = SYNC_S
    sync_s: int = SYNC_S
    fixed: int = 0

    def autoscaler(self):
        return None if self.fixed else Autoscaler(LEAST, MOST, self.up, self.down)


SLOW_UP = Direction(0, (Policy("Percent", 100, 60),))
SLOW_DOWN = Direction(300, (Policy("Percent", 10, 60),))
LONG_DOWN = Direction(600, (Policy("Percent", 10, 60),))
HASTY_DOWN = Direction(60, DOWN.policies)
CPU = {"window_s": 15}
KEDA = {"poll_s": 30, "window_s": 30}


def cpu(target):
    return (("CPU", target),)


def busy(target, p99_s=None):
    return (("busy share", target),) + ((("p99 queue time", p99_s),) if p99_s else ())


RECOMMENDED = "CPU 60 %, down 10 %/min after 600 s"
WAYS = [
    Scaling("fixed, enough for the burst", fixed=16),
    Scaling("fixed, enough for the evening", fixed=7),
    Scaling("p99 queue time 20 ms", (("p99 queue time", 0.02),)),
    Scaling("p99 queue time 20 ms, down 10 %/min", (("p99 queue time", 0.02),), down=SLOW_DOWN),
    Scaling("p99 queue time 100 ms", (("p99 queue time", 0.1),)),
    Scaling("mean queue time 3 ms", (("mean queue time", 0.003),)),
    Scaling("mean queue time 3 ms, down 10 %/min", (("mean queue time", 0.003),), down=SLOW_DOWN),
    Scaling("queued texts 2", (("queued texts", 2.0),)),
    Scaling("queued texts 20", (("queued texts", 20.0),)),
    Scaling("CPU 50 %", cpu(0.5), **CPU),
    Scaling("CPU 60 %", cpu(0.6), **CPU),
    Scaling("CPU 70 %", cpu(0.7), **CPU),
    Scaling("CPU 60 %, down after 60 s", cpu(0.6), down=HASTY_DOWN, **CPU),
    Scaling("CPU 60 %, down 10 %/min", cpu(0.6), down=SLOW_DOWN, **CPU),
    Scaling("CPU 50 %, down 10 %/min after 600 s", cpu(0.5), down=LONG_DOWN, **CPU),
    Scaling(RECOMMENDED, cpu(0.6), down=LONG_DOWN, **CPU),
    Scaling("the same, at most double in a minute", cpu(0.6), up=SLOW_UP, down=LONG_DOWN, **CPU),
    Scaling("CPU 70 %, down 10 %/min after 600 s", cpu(0.7), down=LONG_DOWN, **CPU),
    Scaling("busy share 0.5", busy(0.5)),
    Scaling("busy share 0.6", busy(0.6)),
    Scaling("busy share 0.6, rate over 30 s", busy(0.6), window_s=30),
    Scaling("busy share 0.6, 30 s, down 10 %/min after 600 s", busy(0.6), window_s=30, down=LONG_DOWN),
    Scaling("the same, or p99 queue time 100 ms", busy(0.6, 0.1), window_s=30, down=LONG_DOWN),
    Scaling("busy share 0.6, KEDA", busy(0.6), **KEDA),
    Scaling("busy share 0.6, KEDA, down 10 %/min after 600 s", busy(0.6), down=LONG_DOWN, **KEDA),
]
SHORT = ("p99 queue time 100 ms", RECOMMENDED)
CURVE_HEAD = (
    "calls a second, a core", "CPU", "busy share", "texts a batch", "mean wait, ms", "p99 wait, ms",
    "4 cores: CPU", "texts a batch", "mean wait, ms", "p99 wait, ms",
)
HEAD = ("scaled on", "refused", "in burst", "p50 ms", "p99 ms", "p99.9 ms", "replica-hours", "most", "changes", "flaps")


def row(way, outcome):
    percent = lambda part, whole: f"{100 * part / whole:.2f} %" if whole else "-"
    return (
        way.name, percent(outcome.refused, outcome.asked), percent(outcome.refused_in_burst, outcome.asked_in_burst),
        f"{outcome.quantile(0.5):.1f}", f"{outcome.quantile(0.99):.0f}", f"{outcome.quantile(0.999):.0f}",
        f"{outcome.replica_seconds / 3600:.1f}", str(outcome.most), str(len(outcome.changes)), str(outcome.flaps()),
    )


def curves(costs, loads, options):
    """A replica of one core over its load, and one of four cores under four times that."""
    for at in (3, 7, 9, 11, 13, 15, 17, 19):
        one, calls = loads[at], 4 * loads[at].calls
        four = under(costs, calls, 4_000 if options.short else 40_000, options.seed, cores=4)
        yield (
            f"{100 * one.calls / costs.full():.0f} %: {one.calls:.0f}", f"{100 * one.cpu:.0f} %", f"{one.busy:.2f}", f"{one.batch:.1f}",
            f"{one.mean_wait * 1000:.1f}", f"{one.p99_wait * 1000:.0f}",
            f"{100 * four.cpu:.0f} %", f"{four.batch:.1f}", f"{four.mean_wait * 1000:.1f}", f"{four.p99_wait * 1000:.0f}",
        )


def table(head, rows):
    line = lambda cells: "| " + " | ".join(cells) + " |"
    return "\n".join([line(head), line(["---"] + ["---:"] * (len(head) - 1)), *map(line, rows)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pod-start", type=float, default=10)
    parser.add_argument("--peak", type=float, default=4)
    parser.add_argument("--measured", default=f"{HERE}/measured.json")
    parser.add_argument("--ways", default="", metavar="TEXT")
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    with open(options.measured) as file:
        measured = json.load(file)
    costs = Costs.of(measured)
    loads = curve(costs, options.seed, texts=4_000 if options.short else 20_000)
    calls = day.traffic(options.peak * costs.full(), options.seed, int(day.BURST_AT + 3600) if options.short else day.DAY_S)
    start_s = measured["start_s"] + options.pod_start
    begin = int(day.BURST_AT - 3600) if options.short else 0
    print(f"Measured on {measured['date']}; a new replica answers after {start_s:.1f} s; seed {options.seed}.\n")
    print(table(CURVE_HEAD, curves(costs, loads, options)) + "\n")
    ways = [way for way in WAYS if (way.name in SHORT if options.short else options.ways in way.name)]
    print(table(HEAD, [row(way, day.simulate(loads, costs, calls[begin:], way, start_s, begin)) for way in ways]))


if __name__ == "__main__":
    main()
