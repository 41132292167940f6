"""Several replicas under calls that come by chance and in bursts: who gets a call, what waits, what is refused.

A replica is as in tools/autoscale/replica.py, whose costs it shares: each core has a session of the deep model, and fast answers
take their share of the cores. Here a session that is free takes a part of what waits, as measured: texts of like lengths run
together, so of few that wait some are left. And there are several replicas, fast or slow, callers that choose among them by what
they know, a bound on the queue, and deadlines.
"""

import heapq
import random
from collections import deque
from dataclasses import dataclass, field

# The settings' defaults: texts that a model holds; ARCHITECTURE.md, "Where things wait, and the bound".
QUEUE_TEXTS = 1024
# Each ten seconds, one second with twice the calls of the others.
BURST_EVERY_S, BURST_S, BURST = 10.0, 1.0, 2.0
# What a server's report looks back on, and how often callers weigh anew.
REPORT_S, WEIGH_S = 5.0, 1.0


def runs_of(measured):
    """How many texts run together if so many wait, from none on: the line through pairs of both, level after the last."""
    taken = [0]
    for (few, low), (many, high) in zip([(0, 0)] + measured, measured):
        taken += [max(1, round(low + (high - low) * (waiting - few) / (many - few))) for waiting in range(few + 1, many + 1)]
    return taken


def arrivals(draw, rate, seconds, bursts=True):
    """Moments of calls, `rate` a second in the mean."""
    calm = rate / (1 + BURST_S / BURST_EVERY_S * (BURST - 1)) if bursts else rate
    now = 0.0
    while True:
        # Bursts come at the end of each ten seconds.
        fast = bursts and now % BURST_EVERY_S >= BURST_EVERY_S - BURST_S
        now += draw.expovariate(calm * BURST if fast else calm)
        if now >= seconds:
            return
        yield now


@dataclass
class Replica:
    """Its cores, how fast they are (1: as measured), and what it holds at the moment."""

    cores: int
    speed: float = 1.0
    free: int = 0
    held: int = 0
    busy_s: float = 0.0
    calls: int = 0
    waiting: deque = field(default_factory=deque)
    # Busy time and answers at the end of each second, for reports.
    seen: deque = field(default_factory=lambda: deque(maxlen=int(REPORT_S / WEIGH_S) + 1))

    def weight(self):
        """Answers a second over the share of its time that it was busy, as gRPC's weighted round robin has it."""
        if len(self.seen) < 2:
            return 0.0
        (busy, done), (busy_now, done_now) = self.seen[0], self.seen[-1]
        return (done_now - done) / (busy_now - busy) if busy_now > busy else 0.0


@dataclass
class Outcome:
    latencies: list
    asked: int
    refused: int
    batch: float
    # Of their time, that each replica's cores were busy.
    busy: list

    def at(self, share):
        """Milliseconds."""
        count = len(self.latencies)
        return 1000 * self.latencies[min(int(share * count), count - 1)] if count else float("inf")

    def refused_share(self):
        return self.refused / self.asked if self.asked else 0.0


class Random:
    def __init__(self, fleet, clients, draw):
        self.fleet, self.draw = fleet, draw

    def choose(self, client):
        return int(self.draw.random() * len(self.fleet))

    def done(self, client, replica):
        pass

    def weigh(self):
        pass


class Turns(Random):
    """Each caller goes round the replicas by itself, from a place of its own."""

    def __init__(self, fleet, clients, draw):
        super().__init__(fleet, clients, draw)
        self.next = [draw.randrange(len(fleet)) for _ in range(clients)]

    def choose(self, client):
        self.next[client] = (self.next[client] + 1) % len(self.fleet)
        return self.next[client]


class FewestOpen(Random):
    """Each caller looks at two replicas and takes the one with which it has fewer calls open itself."""

    def __init__(self, fleet, clients, draw):
        super().__init__(fleet, clients, draw)
        self.open = [[0] * len(fleet) for _ in range(clients)]

    def choose(self, client):
        one, other = int(self.draw.random() * len(self.fleet)), int(self.draw.random() * len(self.fleet))
        mine = self.open[client]
        chosen = other if mine[other] < mine[one] else one
        mine[chosen] += 1
        return chosen

    def done(self, client, replica):
        self.open[client][replica] -= 1


class Weighted(Random):
    """Each caller goes round, the more often to a replica the greater its weight: the next is whose turn is due first."""

    def __init__(self, fleet, clients, draw):
        super().__init__(fleet, clients, draw)
        self.periods = [1.0] * len(fleet)
        self.due = [[draw.random() for _ in fleet] for _ in range(clients)]

    def choose(self, client):
        due = self.due[client]
        chosen = due.index(min(due))
        due[chosen] += self.periods[chosen]
        return chosen

    def weigh(self):
        weights = [replica.weight() for replica in self.fleet]
        known = [weight for weight in weights if weight > 0]
        if len(known) < 2:
            return
        mean = sum(known) / len(known)
        self.periods = [mean / (weight or mean) for weight in weights]
        for due in self.due:
            least = min(due)
            due[:] = [least + self.draw.random() * period for period in self.periods]


class Service:
    """A fleet, and what it has answered and refused so far."""

    def __init__(self, costs, taken, fleet, chooser, left, deadline_s, warm_s):
        self.costs, self.taken, self.fleet, self.chooser = costs, taken, fleet, chooser
        self.left, self.deadline_s, self.warm_s = left, deadline_s, warm_s
        self.now, self.ends, self.latencies = 0.0, [], []
        self.asked = self.refused = self.batches = self.texts = 0
        # What a full batch takes, and a text of it.
        self.whole = costs.runs[costs.batch] + costs.call * costs.batch
        self.full = self.whole / costs.batch
        for replica in fleet:
            replica.free = replica.cores

    def begin(self, number):
        """A session that is free takes what runs together of what waits, but for calls that would come too late."""
        replica, batch = self.fleet[number], []
        size = self.taken[min(len(replica.waiting), len(self.taken) - 1)]
        while replica.waiting and len(batch) < size:
            call = replica.waiting.popleft()
            if self.now + self.whole - call[0] > self.deadline_s:
                replica.held -= 1
                self.refuse(number, *call)
            else:
                batch.append(call)
        if not batch:
            replica.free += 1
            return
        took = (self.costs.runs[len(batch)] + self.costs.call * len(batch)) / replica.speed
        replica.busy_s += took
        self.batches, self.texts = self.batches + 1, self.texts + len(batch)
        heapq.heappush(self.ends, (self.now + took / self.left, number, batch))

    def finish(self, until):
        while self.ends and self.ends[0][0] <= until:
            self.now, number, batch = heapq.heappop(self.ends)
            replica = self.fleet[number]
            replica.held -= len(batch)
            for at, client in batch:
                self.answer(number, at, client, self.now - at)
            self.begin(number)

    def answer(self, number, at, client, latency):
        self.fleet[number].calls += 1
        self.chooser.done(client, number)
        if at >= self.warm_s:
            self.latencies.append(latency)

    def refuse(self, number, at, client):
        self.refused += at >= self.warm_s
        self.chooser.done(client, number)

    def arrive(self, number, at, client):
        """A deep text, or one that the cascade gives to the deep model: refused if the queue is full, or if the answer would come too
        late with what waits ahead."""
        replica = self.fleet[number]
        if replica.held >= QUEUE_TEXTS or replica.held * self.full / replica.cores / replica.speed > self.deadline_s:
            self.refuse(number, at, client)
            return
        replica.held += 1
        replica.waiting.append((at, client))
        if replica.free:
            replica.free -= 1
            self.begin(number)

    def outcome(self, length):
        self.latencies.sort()
        busy = [min(1.0, replica.busy_s / (replica.cores * max(length, 1e-9))) for replica in self.fleet]
        return Outcome(self.latencies, self.asked, self.refused, self.texts / max(self.batches, 1), busy)


def serve(
    costs, taken, fleet, moments, seed, way=Random, clients=1, escalated=1.0, left=1.0, deadline_s=float("inf"), warm_s=0.0
):
    """Sends calls of one text to the fleet until the moments end, and answers what is open. `taken` is from `runs_of`.

    `escalated`: 1 is the deep route; less, the cascade: the fast model answers the others at once and leaves the sessions the part
    `left` of their cores. What came before `warm_s` is not counted."""
    draw = random.Random(seed)
    chooser = way(fleet, clients, draw)
    service, weighed = Service(costs, taken, fleet, chooser, left, deadline_s, warm_s), WEIGH_S
    for at in moments:
        service.finish(at)
        service.now = at
        while at >= weighed:
            for replica in fleet:
                replica.seen.append((replica.busy_s, replica.calls))
            chooser.weigh()
            weighed += WEIGH_S
        service.asked += at >= warm_s
        client = int(draw.random() * clients) if clients > 1 else 0
        number = chooser.choose(client)
        if escalated < 1.0:
            # The fast model answers first, on a core that it takes from the sessions.
            fast = costs.fast / fleet[number].speed
            fleet[number].busy_s += fast
            if draw.random() >= escalated:
                service.answer(number, at, client, fast)
                continue
        service.arrive(number, at, client)
    length = service.now
    service.finish(float("inf"))
    return service.outcome(length)


def serve_fast(cost_s, moments, warm_s=0.0):
    """One core that answers fast calls in the order of their coming: nothing is shared by a batch."""
    free, latencies, busy, now = 0.0, [], 0.0, 0.0
    for now in moments:
        free = max(free, now) + cost_s
        busy += cost_s
        if now >= warm_s:
            latencies.append(free - now)
    latencies.sort()
    return Outcome(latencies, len(latencies), 0, 1.0, [busy / max(now, 1e-9)])


def closed(costs, taken, cores, callers, texts):
    """Callers of one text each that ask again as soon as they are answered: texts a run, processor seconds a text."""
    free, waiting, ends = cores, deque([0.0] * callers), []
    runs = done = 0
    work = now = 0.0
    while done < texts:
        while free and waiting:
            size = taken[min(len(waiting), len(taken) - 1)]
            for _ in range(size):
                waiting.popleft()
            took = costs.runs[size] + costs.call * size
            free, runs, done, work = free - 1, runs + 1, done + size, work + took
            heapq.heappush(ends, (now + took, size))
        now, size = heapq.heappop(ends)
        free += 1
        waiting.extend([now] * size)
    return done / runs, work / done
