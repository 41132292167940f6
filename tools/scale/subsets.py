"""Which replicas a caller is connected to, where it is not all of them, and how uneven that makes their load."""

import random


def by_chance(clients, replicas, size, seed):
    """Each caller takes `size` replicas by chance, as gRPC's random_subsetting does: callers that each draw their own salt."""
    draw = random.Random(seed)
    return [draw.sample(range(replicas), size) for _ in range(clients)]


def by_number(clients, replicas, size, seed):
    """Callers have numbers. A round of as many callers as there are subsets takes one shuffled list apart, so within a round each
    replica has one caller: the deterministic subsetting of the book on site reliability, chapter 20."""
    subsets = replicas // size
    chosen = []
    for client in range(clients):
        order = list(range(replicas))
        random.Random(seed * 1_000_003 + client // subsets).shuffle(order)
        at = client % subsets
        chosen.append(order[at * size : (at + 1) * size])
    return chosen


def loads(chosen, replicas, weights=None):
    """Of the mean: the load of the replica that has least, and of the one that has most. Each caller shares its calls evenly."""
    load = [0.0] * replicas
    for client, subset in enumerate(chosen):
        part = (weights[client] if weights else 1.0) / len(subset)
        for replica in subset:
            load[replica] += part
    mean = sum(load) / replicas
    return min(load) / mean, max(load) / mean


def spread(way, clients, replicas, size, seed, uneven=False, rounds=20):
    """The same over some seeds: the mean of the least and of the most."""
    found = []
    for turn in range(rounds):
        # A tenth of the callers then have about half of the calls.
        draw = random.Random(seed + turn)
        weights = [draw.lognormvariate(0, 1.25) for _ in range(clients)] if uneven else None
        found.append(loads(way(clients, replicas, size, seed + turn), replicas, weights))
    return sum(least for least, _ in found) / rounds, sum(most for _, most in found) / rounds
