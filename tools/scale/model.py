"""What is measured, and what a replica can do with it: the parts that the tables share."""

import json
import os
import random
import sys
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../autoscale")

import cluster  # noqa: E402
from replica import Costs  # noqa: E402

ROUTES = ("fast", "deep", "cascade")
# Of the cascade's texts, that go on to the deep model.
ESCALATED = 0.3
# Texts that waited when tools/autoscale/measure.py took the points of its `deep`: its SIZES, then 64 callers.
WAITING = (1, 2, 4, 8, 16, 32, 64)
# A replica of more cores shares its connections among its threads; that is not measured (performance.md).
CORES = (1, 2, 4)
SECONDS = 20


@dataclass
class Model:
    seed: int
    price: float
    p99_s: float
    costs: Costs
    taken: list
    found: dict
    known: dict = field(default_factory=dict)

    @classmethod
    def read(cls, seed, price, p99_s):
        with open(f"{HERE}/../autoscale/measured.json") as file:
            shared = json.load(file)
        costs = Costs.of(shared)
        points = shared["deep"]["points"]
        taken = cluster.runs_of([(waiting, texts) for waiting, (texts, _) in zip(WAITING, points, strict=True)])
        with open(f"{HERE}/measured.json") as file:
            found = {name: part["found"] for name, part in json.load(file).items() if isinstance(part, dict)}
        return cls(seed, price, p99_s, costs, taken, found)

    def cost(self, route, escalated=ESCALATED):
        """Seconds of a core that a text costs in calls of one text, batches full."""
        deep = self.costs.runs[self.costs.batch] / self.costs.batch + self.costs.call
        return {"fast": self.costs.fast, "deep": deep, "cascade": self.costs.fast + escalated * deep}[route]

    def bulk_cost(self, route):
        """The same in calls of 128 texts: what was measured for one text, by the measured ratio of the two."""
        measured = self.found["costs"]["microseconds_a_text"]
        fast, deep = (self.cost(tier) * measured[f"{tier}_bulk"] / measured[tier] for tier in ("fast", "deep"))
        return {"fast": fast, "deep": deep, "cascade": fast + ESCALATED * deep}[route]

    def full(self, route, cores):
        """Calls a second that so many cores can answer at most."""
        return cores / self.cost(route)

    def at(self, route, cores, rate, escalated=ESCALATED, bursts=True, deadline_s=float("inf"), alone=False):
        """One replica under so many calls a second. `alone`: no two texts run together."""
        key = (route, cores, round(rate, 3), escalated, bursts, deadline_s, alone)
        if key not in self.known:
            draw = random.Random(self.seed)
            if route == "fast":
                # Each core has connections and a queue of its own.
                moments = cluster.arrivals(draw, rate / cores, 10, bursts)
                self.known[key] = cluster.serve_fast(self.costs.fast, moments)
            else:
                moments = cluster.arrivals(draw, rate, SECONDS, bursts)
                part, left = (1.0, 1.0) if route == "deep" else (escalated, max(0.05, 1 - rate * self.costs.fast / cores))
                taken = [0, 1] if alone else self.taken
                self.known[key] = cluster.serve(
                    self.costs, taken, [cluster.Replica(cores)], moments, self.seed,
                    escalated=part, left=left, deadline_s=deadline_s,
                )
        return self.known[key]

    def able(self, route, cores, alone=False):
        """Calls a second that one replica takes, bursts included, with the p99 asked for and none refused."""
        if route == "fast" and cores > 1:
            return cores * self.able(route, 1)
        key = (route, cores, alone)
        if key not in self.known:
            low, high = 0.2, 1.0
            for _ in range(5):
                share = (low + high) / 2
                done = self.at(route, cores, share * self.full(route, cores), alone=alone)
                holds = done.at(0.99) <= 1000 * self.p99_s and not done.refused
                low, high = (share, high) if holds else (low, share)
            self.known[key] = low * self.full(route, cores)
        return self.known[key]

    def memory_mb(self, cores):
        return self.found["memory"][str(cores)]

    def fleet(self, route, rate):
        """Replicas and cores for so many calls a second: the fewest cores that hold the p99 with one replica gone. Two at least."""
        choices = [(max(2, -int(-rate // self.able(route, cores)) + 1), cores) for cores in CORES]
        return min(choices, key=lambda choice: (choice[0] * choice[1], choice[0]))
