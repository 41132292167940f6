"""One replica under a steady load, batch by batch: what its queue, its metrics and its answers are like.

Each core has a session of the deep model. A session that is free takes all texts that wait, up to what a batch holds, as the server
does; nothing waits for a batch to fill. Fast answers are given where the call arrives, and take their share of the cores.
"""

import heapq
import random
from dataclasses import dataclass

# Of calls: fast alone, deep alone, and the cascade, of whose texts so many go on to the deep model.
MIX = {"fast": 0.5, "deep": 0.2, "cascade": 0.3}
ESCALATED = 0.305
DEEP_SHARE = MIX["deep"] + MIX["cascade"] * ESCALATED
FAST_SHARE = MIX["fast"] + MIX["cascade"]
# Quantiles that stand for a distribution, with the share of texts that each stands for.
POINTS = ((0.25, 0.5), (0.7, 0.4), (0.945, 0.09), (0.9945, 0.009), (0.9995, 0.001))


@dataclass
class Costs:
    """Seconds of a core, as measured: runs of the deep model of some numbers of texts, a call of a deep text beside its run, a fast
    call; and the most texts that a run takes."""

    points: list
    call: float
    fast: float
    batch: int

    @classmethod
    def of(cls, measured):
        deep = measured["deep"]
        points = [(texts, run / 1000) for texts, run in sorted(deep["points"])]
        return cls(points, deep["call_ms"] / 1000, measured["fast"]["call_ms"] / 1000, round(measured["full"]["texts_a_run"]))

    def __post_init__(self):
        self.runs = [self.between(texts) for texts in range(self.batch + 1)]

    def between(self, texts):
        """Along the straight line between the two nearest points."""
        for (low, quick), (high, slow) in zip(self.points, self.points[1:]):
            if texts <= high:
                return quick + (slow - quick) * max(0, texts - low) / (high - low)
        return self.points[-1][1] * texts / self.points[-1][0]

    def full(self):
        """Calls a second of the mix that a core can answer, if every batch is full."""
        deep = self.runs[self.batch] / self.batch + self.call
        return 1 / (DEEP_SHARE * deep + FAST_SHARE * self.fast)


@dataclass
class Load:
    """What a replica is like at `calls` a second: deep texts' waits and latencies in seconds at POINTS, shares of its time."""

    calls: float
    waits: list
    latencies: list
    mean_wait: float
    p99_wait: float
    queued: float
    batch: float
    busy: float
    cpu: float


def under(costs, calls, texts, seed, cores=1):
    """A replica that gets so many calls a second, by chance, until it has answered so many deep texts."""
    draw = random.Random(seed)
    rate = calls * DEEP_SHARE
    # What fast calls leave of a core.
    left = 1 - calls * FAST_SHARE * costs.fast / cores
    arrival, free, end = draw.expovariate(rate), [0.0] * cores, 0.0
    running = working = queued = 0.0
    batches, waiting, waits, latencies = 0, [], [], []
    while len(waits) < texts:
        now = heapq.heappop(free)
        while arrival <= now or not waiting:
            now = max(now, arrival)
            waiting.append(arrival)
            arrival += draw.expovariate(rate)
        batch, waiting = waiting[: costs.batch], waiting[costs.batch :]
        run = costs.runs[len(batch)] / left
        done = now + run + costs.call * len(batch) / left
        waits += [now - at for at in batch]
        latencies += [done - at for at in batch]
        running, working, queued, batches = running + run, working + done - now, queued + sum(now - at for at in batch), batches + 1
        heapq.heappush(free, done)
        end = max(end, done)
    time = end * cores
    waits.sort()
    latencies.sort()
    at_points = lambda values: [values[int(point * len(values))] for point, _ in POINTS]
    cpu = working / time + (1 - working / time) * (1 - left)
    mean_wait, p99_wait = sum(waits) / len(waits), waits[int(0.99 * len(waits))]
    return Load(calls, at_points(waits), at_points(latencies), mean_wait, p99_wait, queued / end, len(waits) / batches, running / time, cpu)


def curve(costs, seed=1, texts=20_000, steps=20, cores=1):
    """Loads from a twentieth of what the replica can do up to 98 %."""
    return [under(costs, cores * costs.full() * min(step / steps, 0.98), texts, seed + step, cores) for step in range(1, steps + 1)]
