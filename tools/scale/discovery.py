"""How long callers go on to ask a replica whose machine is gone without a word, and how long a new one waits for its first call.

Each caller has a connection to each replica. Nothing closes the one to the machine that is gone: no packet comes back. What ends
it, whichever is first: TCP gives up; a keepalive ping is not answered; the caller hears that the address is gone.
"""

import random
from dataclasses import dataclass

# Linux, tcp_retries2 = 15. gRPC's resolver does not look a name up again sooner. Until Kubernetes calls a silent node not ready, and
# what its name server lets others keep. What a control plane takes to tell its clients, as we assume.
TCP_GIVES_UP_S = 924.6
LEAST_BETWEEN_LOOKUPS_S = 30.0
NODE_GRACE_S, DNS_TTL_S, PUSH_S = 50.0, 5.0, 1.0
INFINITE = float("inf")


@dataclass(frozen=True)
class Way:
    """How callers hear of replicas. Times in seconds.

    age: `max_connection_age` of the servers, after which a gRPC client looks the name up again. keepalive: the pause and the patience
    of pings. poll: the caller looks the name up so often. told: a control plane tells it. probe: it asks each replica's health so often.
    sweep: it counts failures and passes over who fails, so often, with calls that fail after `deadline`."""

    name: str
    age: float = 0.0
    keepalive: tuple = ()
    poll: float = 0.0
    told: bool = False
    probe: float = 0.0
    sweep: float = 0.0
    deadline: float = 1.0


def lookups(draw, way, replicas, until):
    """When one caller looks the name up: as its other connections end, but not more often than it may."""
    if way.poll:
        at = draw.random() * way.poll
        while at < until:
            yield at
            at += way.poll
        return
    if not way.age:
        return
    ends = []
    for _ in range(replicas - 1):
        at = draw.random() * way.age
        while at < until:
            ends.append(at)
            at += way.age * draw.uniform(0.9, 1.1)
    # As if the last look was long ago.
    last = -INFINITE
    for at in sorted(ends):
        # An end during the pause has its look as the pause is over, one for all of them.
        if at >= last:
            last = max(at, last + LEAST_BETWEEN_LOOKUPS_S)
            yield last


def first(times, after):
    return next((at for at in times if at >= after), INFINITE)


def gone(draw, way, replicas):
    """Seconds until one caller asks it no more."""
    ends = [TCP_GIVES_UP_S, first(lookups(draw, way, replicas, 4_000), NODE_GRACE_S + draw.random() * DNS_TTL_S)]
    if way.keepalive:
        ends.append(sum(way.keepalive))
    if way.told:
        ends.append(NODE_GRACE_S + PUSH_S)
    if way.probe:
        # The probe waits a second for its answer.
        ends.append(draw.random() * way.probe + 1.0)
    if way.sweep:
        # Of the calls that ended since the last sweep, 85 % must have failed; the first fails after its deadline.
        sweep = draw.random() * way.sweep
        seen = (sweep - way.deadline) / way.sweep
        ends.append(sweep if seen >= 0.85 else sweep + way.sweep)
    return min(ends)


def new(draw, way, replicas):
    """Seconds until one caller asks a replica that has just become ready."""
    if way.told:
        return PUSH_S
    return first(lookups(draw, way, replicas + 1, 20_000), draw.random() * DNS_TTL_S)


def over(what, way, clients, replicas, seed):
    draw = random.Random(seed)
    return sorted(what(draw, way, replicas) for _ in range(clients))
