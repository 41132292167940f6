"""Measures a cascade through a running server, on labelled reviews that took part in no fit.

    python -m tandem_training.cascade_measure work/held_out.tsv --server http://localhost:5000

Accuracy of ROUTE_CASCADE at 20, 30 and 50% escalation and at the task's own threshold against ROUTE_DEEP, with paired 95%
bootstrap intervals; then throughput of both, and of ROUTE_FAST, 32 texts a call. The thresholds for a share come from the
confidences alone: no label is looked at to choose them.
"""

import argparse
import http.client
import itertools
import json
import threading
import time
import urllib.parse
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from .data import read_labelled

TEXTS_A_CALL = 32
SHARES = (0.2, 0.3, 0.5)
DRAWS = 10_000
SEED = 20261122


class Server:
    """One connection to the HTTP door."""

    def __init__(self, url: str, task: str):
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=120)
        self.task = task

    def ask(self, texts: Sequence[str], route: str, min_confidence: float | None = None) -> list[dict]:
        call = {"texts": list(texts), "route": route, "task": self.task}
        if min_confidence is not None:
            call["minConfidence"] = min_confidence
        self.connection.request("POST", "/v1/predict", json.dumps(call), {"content-type": "application/json"})
        answer = self.connection.getresponse()
        body = json.load(answer)
        if answer.status != 200:
            raise SystemExit(f"the server refused: {body['error']['reason']}: {body['error']['message']}")
        return body["predictions"]

    def ask_all(self, texts: Sequence[str], route: str, min_confidence: float | None = None) -> list[dict]:
        starts = tqdm(range(0, len(texts), TEXTS_A_CALL), desc=f"{route} {min_confidence or ''}")
        calls = (self.ask(texts[start : start + TEXTS_A_CALL], route, min_confidence) for start in starts)
        return list(itertools.chain.from_iterable(calls))


def right(predictions: list[dict], labels: Sequence[str]) -> np.ndarray:
    return np.array([found["label"] == label for found, label in zip(predictions, labels, strict=True)], dtype=int)


def share_of(predictions: list[dict]) -> float:
    return float(np.mean([found["tier"] == "TIER_DEEP" for found in predictions]))


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 95% bootstrap interval of the mean of values out of {-1, 0, 1}.

    To draw texts anew is to draw how many of each value there are: a multinomial.
    """
    kinds = np.array([-1, 0, 1])
    shares = np.array([(values == kind).mean() for kind in kinds])
    draws = np.random.default_rng(SEED).multinomial(len(values), shares, size=DRAWS) @ kinds / len(values)
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def measure_accuracy(server: Server, texts: list[str], labels: list[str]) -> float:
    """Prints the curve, and gives the threshold for 30%."""
    deep = right(server.ask_all(texts, "ROUTE_DEEP"), labels)
    fast = server.ask_all(texts, "ROUTE_CASCADE", 0.0)
    sure = np.array([found["confidence"] for found in fast])
    thresholds = {share: round(float(np.quantile(sure, share)), 4) for share in SHARES}
    ways = [("fast alone", right(fast, labels), 0.0)]
    for name, threshold in [*((f"cascade at {share:.0%}", thresholds[share]) for share in SHARES), ("as calibrated", None)]:
        found = server.ask_all(texts, "ROUTE_CASCADE", threshold)
        ways.append((f"{name} ({threshold or 'its own'})", right(found, labels), share_of(found)))
    ways.append(("deep alone", deep, 1.0))
    print(f"\n{len(texts)} texts; accuracy, and its difference to deep alone in points (paired, 95%)")
    for name, hits, share in ways:
        low, high = interval(hits)
        below, above = interval(hits - deep)
        print(
            f"  {name:<26} escalated {share:6.1%}  accuracy {hits.mean():.4f} ({low:.4f} to {high:.4f})"
            f"  minus deep {100 * (hits - deep).mean():+.2f} ({100 * below:+.2f} to {100 * above:+.2f})"
        )
    return thresholds[0.3]


def throughput(url: str, task: str, calls: list, route: str, min_confidence: float | None, options) -> tuple[float, float]:
    """Texts a second over several connections, and the share that was escalated."""
    done, escalated, lock = 0, 0, threading.Lock()
    upcoming = itertools.cycle(calls)
    end = time.monotonic() + options.seconds

    def work() -> None:
        nonlocal done, escalated
        server = Server(url, task)
        while time.monotonic() < end:
            with lock:
                texts = next(upcoming)
            found = server.ask(texts, route, min_confidence)
            with lock:
                done += len(found)
                escalated += sum(one["tier"] == "TIER_DEEP" for one in found)

    threads = [threading.Thread(target=work) for _ in range(options.connections)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done / (time.monotonic() - start), escalated / max(done, 1)


def measure_throughput(url: str, task: str, texts: list[str], threshold: float, options) -> None:
    """Prints the throughput of the routes, turn by turn, so that a busy machine is busy for all of them."""
    calls = [texts[start : start + TEXTS_A_CALL] for start in range(0, len(texts) - TEXTS_A_CALL, TEXTS_A_CALL)]
    routes = [("ROUTE_DEEP", None), ("ROUTE_CASCADE", threshold), ("ROUTE_FAST", None)]
    found = {route: [] for route, _ in routes}
    for _ in range(options.rounds):
        for route, min_confidence in routes:
            found[route].append(throughput(url, task, calls, route, min_confidence, options))
    deep, cascade, fast = (np.array(found[route]) for route, _ in routes)
    rate = [float(np.median(each[:, 0])) for each in (deep, cascade, fast)]
    share, ratio, relative = float(np.mean(cascade[:, 1])), rate[1] / rate[0], rate[0] / rate[2]
    ideal = 1 / (share + relative)
    print(f"\ntexts a second, {TEXTS_A_CALL} a call, {options.connections} connections, median of {options.rounds} rounds:")
    print(f"  deep {rate[0]:.0f}, cascade {rate[1]:.0f} at {share:.1%} escalated, fast {rate[2]:.0f}")
    print(f"  cascade / deep {ratio:.2f}; 1 / (escalated share + fast cost / deep cost) = {ideal:.2f}")
    print(f"  that is {ratio / ideal:.2f} of it (goal: at least 0.8)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reviews", help="labelled reviews: TSV with id, label, text")
    parser.add_argument("--server", default="http://localhost:5000", help="the HTTP door of a running server")
    parser.add_argument("--task", default="sentiment")
    parser.add_argument("--labels", default="negative,positive", help="what labels 0, 1, … are called")
    parser.add_argument("--rows", type=int, help="measure the first rows only")
    parser.add_argument("--seconds", type=float, default=10, help="of each round of throughput; 0: accuracy only")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=4)
    options = parser.parse_args()
    names = options.labels.split(",")
    reviews = read_labelled(options.reviews)[: options.rows]
    texts, labels = [review.text for review in reviews], [names[review.label] for review in reviews]
    threshold = measure_accuracy(Server(options.server, options.task), texts, labels)
    if options.seconds > 0:
        measure_throughput(options.server, options.task, texts, threshold, options)


if __name__ == "__main__":
    main()
