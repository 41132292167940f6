"""The tables of docs/scale.md, each a head and rows. A head that begins with * is a column of words."""

import math
import random
import statistics

import cluster
import discovery
import subsets
from model import ESCALATED, ROUTES

NIGHT_S = 8 * 3600
# The settings' defaults, and what Envoy has where its file says nothing (deploy/envoy.yaml).
CONNECTIONS, STREAMS, BODY_BYTES, TEXTS, TEXT_BYTES, ENVOY_OPEN = 1024, 256, 128 * 2**20, 128, 16_384, 1024
# What a server of names may send in one answer by UDP: as of old (RFC 1035), and with EDNS as is usual. The head, the question for
# tandem.default.svc.cluster.local, an address, what EDNS adds.
DNS_BYTES, DNS_HEAD, DNS_QUESTION, DNS_ADDRESS, DNS_EDNS = (512, 1232), 12, 38, 16, 11
# Of a bulk night's cores, what is kept for restarts, a lost replica and calls that are repeated.
BULK_USE = 0.8
NAMES = {"fast": "fast", "deep": "deep", "cascade": "cascade, 30 %"}


def number(value):
    return f"{value:,.0f}"


def short(value):
    """Three figures."""
    if value >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}" if value >= 0.01 else f"{value:.1g}"


def ms(value):
    return "-" if value == math.inf else f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def money(value):
    return "< 0.01" if value < 0.01 else f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def gigabytes(megabytes):
    return f"{megabytes / 1024:.2g} GB"


def percent(value, digits=0):
    return f"{100 * value:.{digits}f} %"


def able(model):
    head = ("*route", "texts a second a core, full", "1 core", "2 cores", "4 cores", "4 cores, no two texts in a run")
    rows = []
    for route in ROUTES:
        four = model.able(route, 4)
        rates = [short(model.able(route, cores)) for cores in (1, 2)] + [short(four)]
        rows.append((NAMES[route], short(model.full(route, 1)), *rates, "the same" if route == "fast" else short(model.able(route, 4, alone=True))))
    return head, rows


def interactive(model):
    head = (
        "*route", "calls a second", "replicas × cores", "memory", "busy", "p50, ms", "p99", "p99, one gone", "core-hours a day",
        "money a day",
    )
    rows = []
    for route in ROUTES:
        for rate in (100, 1_000, 10_000):
            count, cores = model.fleet(route, rate)
            all_up, one_gone = (model.at(route, cores, rate / alive) for alive in (count, count - 1))
            hours = 24 * count * cores
            rows.append((
                NAMES[route], number(rate), f"{count} × {cores}", gigabytes(count * model.memory_mb(cores)),
                percent(all_up.busy[0]), ms(all_up.at(0.5)), ms(all_up.at(0.99)), ms(one_gone.at(0.99)),
                number(hours), money(hours * model.price),
            ))
    return head, rows


def bulk(model):
    head = ("*route", "texts in 8 hours", "texts a second", "core-hours", "cores", "memory", "money")
    rows = []
    for route in ROUTES:
        for texts in (10**6, 10**8, 10**9):
            hours = texts * model.bulk_cost(route) / 3600 / BULK_USE
            cores = math.ceil(hours / 8)
            # Replicas of four cores, if it takes more than one or two.
            replicas, size = (math.ceil(cores / 4), 4) if cores > 2 else (1, cores)
            rows.append((
                NAMES[route], f"10^{round(math.log10(texts))}", number(texts / NIGHT_S), short(hours), number(cores),
                gigabytes(replicas * model.memory_mb(size)), money(hours * model.price),
            ))
    return head, rows


def overload(model):
    head = ("calls, of full", "texts a run", "p50, ms", "p99", "refused", "deadline 0.5 s: p50", "p99", "refused or late")
    rows = []
    for share in (0.5, 0.8, 0.95, 1.1, 1.5, 3.0):
        rate = share * model.full("deep", 1)
        free, late = (model.at("deep", 1, rate, bursts=False, deadline_s=limit) for limit in (math.inf, 0.5))
        rows.append((
            percent(share), f"{free.batch:.1f}", ms(free.at(0.5)), ms(free.at(0.99)), percent(free.refused_share()),
            ms(late.at(0.5)), ms(late.at(0.99)), percent(late.refused_share()),
        ))
    return head, rows


def drift(model):
    head = ("escalated", "busy", "p50, ms", "p99", "refused", "cores for the same p99")
    rate, rows = model.able("cascade", 2), []
    for escalated in (0.2, 0.3, 0.4, 0.5, 0.7, 1.0):
        done = model.at("cascade", 2, rate, escalated=escalated)
        need = 2 * model.cost("cascade", escalated) / model.cost("cascade", ESCALATED)
        rows.append((
            percent(escalated), percent(done.busy[0]), ms(done.at(0.5)), ms(done.at(0.99)), percent(done.refused_share(), 1),
            f"{need:.1f}",
        ))
    return head, rows


def bounds(model):
    """What the known bounds mean in calls and seconds."""
    head = ("*bound", "*default", "*is reached")
    lone, full = model.costs.runs[1] + model.costs.call, model.full("deep", 1)
    old, new = ((size - DNS_HEAD - DNS_QUESTION - more) // DNS_ADDRESS for size, more in zip(DNS_BYTES, (0, DNS_EDNS)))
    queue, body = cluster.QUEUE_TEXTS / full, TEXTS * TEXT_BYTES
    rows = [
        ("texts of a model, `max_queue_texts`", number(cluster.QUEUE_TEXTS),
         f"after {queue:.1f} s of the deep model's work on one core, {queue / 4:.1f} s on four; "
         f"by {cluster.QUEUE_TEXTS // TEXTS} calls of {TEXTS} texts"),
        ("open calls a connection, `max_streams_per_connection`", number(STREAMS),
         f"at {short(STREAMS / lone)} lone deep calls a second over one connection, at {number(STREAMS / 0.5)} if each waits 0.5 s"),
        ("connections a door, `max_connections`", number(CONNECTIONS),
         f"by {number(CONNECTIONS)} callers that connect to all replicas, however many there are"),
        ("open files of a process", "1,024, Linux's soft limit",
         "before `max_connections` of a door, if nothing sets more; `deploy/systemd` sets 65,536"),
        ("bodies in flight, `max_inflight_body_bytes`", "128 MiB",
         f"by {BODY_BYTES // body} calls of {TEXTS} texts of 16 KiB; "
         f"of 100 bytes: {short(BODY_BYTES / (TEXTS * 100))}, and the queue is full before"),
        ("open calls of one Envoy, `max_requests`", number(ENVOY_OPEN),
         f"if 10,000 calls a second stand still for {1000 * ENVOY_OPEN / 10_000:.0f} ms"),
        ("calls of one Envoy, its file's `local_ratelimit`", "20,000 a second", "then; HAProxy's file takes 2,000 connections (`maxconn`)"),
        ("addresses in one DNS answer", f"{old} in 512 bytes, {new} in 1,232",
         "beyond, resolvers ask again by TCP; one that can't sees a part"),
    ]
    return head, rows


def run_fleet(model, speeds, rate, way, clients, seconds, warm_s):
    fleet = [cluster.Replica(1, speed) for speed in speeds]
    moments = cluster.arrivals(random.Random(model.seed), rate, seconds)
    return cluster.serve(model.costs, model.taken, fleet, moments, model.seed, way, clients, deadline_s=1.0, warm_s=warm_s)


def choice(model):
    """Ten replicas of one core that are alike, at 45 % of what they can do."""
    head = ("*who chooses", "*how", "p50, ms", "p99", "refused or late")
    rate, rows = 0.45 * model.full("deep", 10), []
    for label, clients, way, how in (
        ("anybody", 1, cluster.Random, "by chance"),
        ("one proxy", 1, cluster.Turns, "in turn"),
        ("one proxy", 1, cluster.FewestOpen, "fewer open calls, of two"),
        ("10 callers", 10, cluster.FewestOpen, "fewer open calls, of two"),
        ("200 callers", 200, cluster.Turns, "in turn"),
        ("200 callers", 200, cluster.FewestOpen, "fewer open calls, of two"),
    ):
        done = run_fleet(model, [1.0] * 10, rate, way, clients, 10, 1)
        rows.append((label, how, ms(done.at(0.5)), ms(done.at(0.99)), percent(done.refused_share(), 1)))
    return head, rows


def reports(model):
    """Eight replicas of one core, four of them half as fast, at 50 % of what they can do together."""
    head = ("*who chooses", "*how", "busy: fast ones", "slow ones", "p50, ms", "p99", "refused or late")
    rate, rows = 0.5 * model.full("deep", 1) * 6, []
    for label, clients, way, how in (
        ("20 callers", 20, cluster.Turns, "in turn"),
        ("20 callers", 20, cluster.FewestOpen, "fewer open calls, of two"),
        ("one proxy", 1, cluster.FewestOpen, "fewer open calls, of two"),
        ("20 callers", 20, cluster.Weighted, "in turn, weighed by reports"),
    ):
        done = run_fleet(model, [1.0] * 4 + [0.5] * 4, rate, way, clients, 30, 12)
        fast, slow = sum(done.busy[:4]) / 4, sum(done.busy[4:]) / 4
        rows.append((label, how, percent(fast), percent(slow), ms(done.at(0.5)), ms(done.at(0.99)), percent(done.refused_share(), 1)))
    return head, rows


def bounded(connections):
    """Bold where a server has no room for them (max_connections)."""
    return f"**{number(connections)}**" if connections > CONNECTIONS else number(connections)


def subset(model):
    head = (
        "callers", "replicas", "of which each has", "connections", "a replica", "by chance: least", "most", "by number: least", "most",
        "uneven callers, by number: most",
    )
    sizes = (
        (300, 300, 90), (100, 20, 5), (100, 20, 10), (1_000, 100, 10), (1_000, 100, 20), (10_000, 100, 5), (10_000, 100, 10),
        (10_000, 100, 100),
    )
    rows = []
    for clients, replicas, size in sizes:
        rounds = 10 if clients <= 1_000 else 2
        (low, high), (flat, top) = (
            subsets.spread(way, clients, replicas, size, model.seed, rounds=rounds) for way in (subsets.by_chance, subsets.by_number)
        )
        _, uneven = subsets.spread(subsets.by_number, clients, replicas, size, model.seed, True, rounds)
        rows.append((
            number(clients), replicas, size, number(clients * size), bounded(clients * size // replicas),
            percent(low), percent(high), percent(flat), percent(top), percent(uneven),
        ))
    return head, rows


WAYS = (
    discovery.Way("DNS, connections of 30 min", age=1800),
    discovery.Way("DNS, connections of 5 min", age=300),
    discovery.Way("DNS, 30 min, keepalive 10 s + 20 s", age=1800, keepalive=(10, 20)),
    discovery.Way("DNS, 30 min, outlier detection each 10 s", age=1800, sweep=10),
    discovery.Way("xDS, addresses of Kubernetes", told=True),
    discovery.Way("xDS, keepalive 10 s + 20 s", told=True, keepalive=(10, 20)),
    discovery.Way("Envoy of this repository: DNS each 5 s, health each 1 s", poll=5, probe=1),
)


def heard(model):
    """Until a caller asks it no more, and until it asks a new one."""
    head = (
        "*what callers have", "gone, 10 replicas: median", "99 %", "calls sent to it, of 1,000 a second", "gone, 2 replicas: median",
        "new one asked after, 10: median", "99 %",
    )
    at = lambda values, share: values[int(share * len(values))]
    seconds = lambda values, share: "-" if at(values, share) == math.inf else f"{at(values, share):.0f} s"
    rows = []
    for way in WAYS:
        cases = ((discovery.gone, 10), (discovery.gone, 2), (discovery.new, 10))
        gone, few, new = (discovery.over(what, way, 1_000, replicas, model.seed) for what, replicas in cases)
        lost = statistics.mean(gone) * 1_000 / 10
        rows.append((
            way.name, seconds(gone, 0.5), seconds(gone, 0.99), number(float(f"{lost:.2g}")), seconds(few, 0.5), seconds(new, 0.5),
            seconds(new, 0.99),
        ))
    return head, rows


def error(real, made):
    return f"{100 * (made / real - 1):+.0f} %"


def closed(model):
    """Callers that ask again as soon as they are answered, real and simulated."""
    head = ("callers", "µs a text: real", "simulated", "error", "texts a run: real", "simulated")
    rows = []
    for real in model.found["closed"]:
        run, work = cluster.closed(model.costs, model.taken, 1, real["callers"], 20_000)
        cost = real["microseconds_a_text"]
        rows.append((
            real["callers"], number(cost), number(1e6 * work), error(cost, 1e6 * work), f"{real['texts_a_run']:.1f}", f"{run:.1f}",
        ))
    return head, rows


# Below this share of the cores' time a round's times on the clock say nothing.
UNDISTURBED = 0.9


def harmony(model):
    """Calls by a schedule to a server of two cores, real and simulated."""
    head = ("*load", "*figure", "real", "simulated", "error")
    rows = []

    def add(load, figure, real, made, digits=1):
        rows.append((load, figure, f"{real:.{digits}f}", f"{made:.{digits}f}", error(real, made)))

    for run in model.found["half_load"]:
        full = model.full(run["route"], 2)
        made = model.at(run["route"], 2, run["share"] * full, bursts=False).at(0.99)
        # That machine could do more: all times are shorter by that.
        made *= full * run["share"] / run["calls_a_second"] if run["route"] == "deep" else 1
        add(f"{run['route']}, {percent(run['share'])}: {number(run['calls_a_second'])} a second, quiet", "p99, ms", run["p99_ms"], made)
    rounds, load = model.found["open"], "deep, 60 %, busy machine"
    work = cluster.closed(model.costs, model.taken, 2, 64, 20_000)[1]
    made = model.at("deep", 2, 0.6 * 2 / work, bursts=False)
    middle = lambda key, some: statistics.median(row[key] for row in some)
    # Of the time of the two cores, over the calls.
    cost = made.busy[0] * 2 / (0.6 * 2 / work)
    add(load, "texts a run", middle("texts_a_run", rounds), made.batch)
    add(load, "processor time a text, µs", middle("microseconds_a_text", rounds), 1e6 * cost, 0)
    share = statistics.median(row["microseconds_a_text"] / row["full_microseconds_a_text"] for row in rounds)
    add(load, "the same, of that with 64 callers", share, cost / work, 2)
    calm = [row for row in rounds if row["share_of_cores"] >= UNDISTURBED]
    lone = model.costs.runs[1] + model.costs.call
    if len(calm) >= 3:
        add(load, "p50, of a lone call", middle("p50_of_lone", calm), made.at(0.5) / 1000 / lone)
        add(load, "p99, of a lone call", middle("p99_of_lone", calm), made.at(0.99) / 1000 / lone)
    return head, rows


TABLES = {
    "able": able, "interactive": interactive, "bulk": bulk, "overload": overload, "bounds": bounds, "drift": drift, "choice": choice,
    "subset": subset, "heard": heard, "reports": reports, "closed": closed, "harmony": harmony,
}
