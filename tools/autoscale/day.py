"""A day of calls, second by second, and replicas that an autoscaler adds and takes away.

What a replica is like at each load comes from replica.py. Beyond what the replicas can do, texts wait; where a text would wait
longer than its caller has time, or the queue is full, it is refused. All ready replicas share what waits: balancers send calls to
the one with the fewest, and a full queue is a second of work at most.
"""

import bisect
import math
import random
from dataclasses import dataclass, field

from replica import DEEP_SHARE, POINTS

DAY_S = 86_400
# What a model accepts and has not answered (max_queue_texts), and what callers wait at most.
QUEUE_TEXTS, DEADLINE_S = 1024, 1.0
SCRAPE_S = 15
# At midnight, or where a part of the day begins.
BEGIN_REPLICAS = 4
BUCKETS = [0.001 * 1.1**step for step in range(120)]
# Changes of direction within so many seconds count as flaps.
FLAP_S = 600
BURST_AT, BURST_S, BURST = 15.5 * 3600, 600, 3.0
# Of the day's peak, at these hours.
SHAPE = ((0, 0.15), (5, 0.08), (7, 0.2), (9, 0.7), (11.5, 0.75), (12.5, 0.5), (13.5, 0.7), (17, 0.6), (20, 1.0), (22, 0.6), (24, 0.15))


def traffic(peak, seed, seconds=DAY_S):
    """Calls of each second: the shape of a day, slow swings of a tenth, chance, and a sudden burst."""
    draw = random.Random(seed)
    swing, calls = 0.0, []
    for second in range(seconds):
        hour = second / 3600
        at = max(place for place in range(len(SHAPE) - 1) if SHAPE[place][0] <= hour)
        (begin, low), (end, high) = SHAPE[at], SHAPE[at + 1]
        mean = peak * (low + (high - low) * (hour - begin) / (end - begin))
        # Forgets itself within half a minute.
        swing = 0.967 * swing + draw.gauss(0, 0.0255)
        mean *= (1 + swing) * (BURST if BURST_AT <= second < BURST_AT + BURST_S else 1)
        calls.append(max(0.0, draw.gauss(mean, math.sqrt(max(mean, 0)))))
    return calls


@dataclass
class Second:
    """What Prometheus could see of one second: each of the ready replicas is like the others."""

    busy: float
    cpu: float
    queued: float
    waits: list
    answered: float

    def mean_wait(self):
        return sum(wait * share for wait, (_, share) in zip(self.waits, POINTS))


@dataclass
class Outcome:
    asked: float = 0.0
    refused: float = 0.0
    refused_in_burst: float = 0.0
    asked_in_burst: float = 0.0
    replica_seconds: float = 0.0
    most: int = 0
    changes: list = field(default_factory=list)
    histogram: list = field(default_factory=lambda: [0.0] * (len(BUCKETS) + 1))

    def quantile(self, share):
        """Milliseconds within which that share of deep texts was answered."""
        wanted, seen = share * sum(self.histogram), 0.0
        for bound, count in zip(BUCKETS, self.histogram):
            seen += count
            if seen >= wanted:
                return bound * 1000
        return math.inf

    def flaps(self):
        pairs = zip(self.changes, self.changes[1:])
        return sum(one[1] * next[1] < 0 and next[0] - one[0] <= FLAP_S for one, next in pairs)


class Replicas:
    """Those that answer, and those that start."""

    def __init__(self, loads, costs, count, start_s):
        self.loads, self.rates, self.full = loads, [load.calls for load in loads], costs.full()
        self.ready, self.starting, self.start_s = count, [], start_s
        self.backlog = 0.0

    def pods(self):
        return self.ready + len(self.starting)

    def scale(self, now, pods):
        """New ones are ready after their start; those that start are the first to go. What goes answers what it has taken."""
        while self.pods() < pods:
            self.starting.append(now + self.start_s)
        while self.pods() > pods and self.starting:
            self.starting.pop()
        self.ready = min(self.ready, pods)

    def second(self, now, calls, outcome, in_burst):
        """Answers a second's calls, as far as there is room and time."""
        came = [at for at in self.starting if at <= now]
        self.starting = [at for at in self.starting if at > now]
        self.ready += len(came)
        asked, able = calls * DEEP_SHARE, self.ready * self.full * DEEP_SHARE
        room = min(self.ready * QUEUE_TEXTS, able * DEADLINE_S)
        waiting = self.backlog + asked
        answered = min(waiting, able)
        refused = max(0.0, waiting - answered - room)
        self.backlog = waiting - answered - refused
        behind = self.backlog / able
        load = self.loads[min(bisect.bisect_left(self.rates, calls / self.ready), len(self.loads) - 1)]
        outcome.asked += asked
        outcome.refused += refused
        if in_burst:
            outcome.asked_in_burst += asked
            outcome.refused_in_burst += refused
        outcome.replica_seconds += self.pods()
        outcome.most = max(outcome.most, self.pods())
        for latency, (_, share) in zip(load.latencies, POINTS):
            outcome.histogram[bisect.bisect_left(BUCKETS, latency + behind)] += answered * share
        waits = [wait + behind for wait in load.waits] if behind else load.waits
        return Second(load.busy, load.cpu, load.queued + self.backlog / self.ready, waits, answered)


def p99(seconds):
    """Of the texts of these seconds; none if nobody asked."""
    points = sorted((wait, share * second.answered) for second in seconds for wait, (_, share) in zip(second.waits, POINTS))
    left = 0.01 * sum(weight for _, weight in points)
    for wait, weight in reversed(points):
        left -= weight
        if left < 0:
            return wait
    return None


def mean(seconds, value):
    return sum(value(second) for second in seconds) / len(seconds)


# What may be scaled on, from the seconds of a metric's window.
METRICS = {
    "CPU": lambda seconds: mean(seconds, lambda second: second.cpu),
    "busy share": lambda seconds: mean(seconds, lambda second: second.busy),
    "queued texts": lambda seconds: seconds[-1].queued,
    "mean queue time": lambda seconds: mean(seconds, Second.mean_wait),
    "p99 queue time": p99,
}


def simulate(loads, costs, calls, scaling, start_s, begin=0):
    """A day of `calls`, or what is left of it from second `begin` on, under one scaling or a fixed number of replicas."""
    outcome, replicas, seen = Outcome(), Replicas(loads, costs, scaling.fixed or BEGIN_REPLICAS, start_s), []
    autoscaler, read = scaling.autoscaler(), {}
    for now, asked in enumerate(calls):
        in_burst = BURST_AT <= begin + now < BURST_AT + BURST_S
        seen.append(replicas.second(now, asked, outcome, in_burst))
        if autoscaler is None or now == 0:
            continue
        if now % scaling.poll_s == 0:
            # Prometheus last looked up to SCRAPE_S ago; the metric is of the window before that.
            scraped = now - now % SCRAPE_S - scaling.lag_s
            window = seen[max(0, scraped - scaling.window_s) : max(1, scraped)]
            read = {name: METRICS[name](window) for name, _ in scaling.targets}
        if now % scaling.sync_s == 0:
            ratios = [None if read.get(name) is None else read[name] / target for name, target in scaling.targets]
            wanted = autoscaler.step(now, replicas.pods(), replicas.ready, ratios)
            replicas.scale(now, wanted)
    outcome.changes = autoscaler.changes if autoscaler else []
    return outcome
