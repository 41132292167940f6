#!/usr/bin/env python3
"""Shows what windows are worth on long texts whose signal lies past what a model reads at once, and what they cost.

    python3 examples/long_texts.py SIGNALS FILLERS --server http://localhost:5000 --task sentiment --route deep

Joins each text of SIGNALS (its label is the truth) into the middle of neutral ones, so that it begins past the first
window. SIGNALS is a .tsv with the columns text (or document, review) and label; FILLERS one with the first of these.
With --stars a FILLERS row counts only if its column rating is one of them. Of the fillers those are taken that the
asked model itself is least sure of, below --neutral: they say nothing to it. Prints, for cuts at either end and for
windows by each pooling (docs/windows.md), how many long texts got the label of their signal, and the rows, tokens and
time of a text. The Naver sentiment movie corpus (public repository e9t/nsmc) suits the shipped models.
"""

import argparse
import csv
import json
import random
import time
import urllib.request

BATCH = 8


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, delimiter="\t")


def text_of(row):
    return next(row[name] for name in ("text", "document", "review") if name in row)


class Server:
    def __init__(self, args):
        self.url = args.server.rstrip("/") + "/v1/predict"
        self.fixed = {"task": args.task, "route": f"ROUTE_{args.route.upper()}", "topK": 1000}

    def ask(self, texts, **options):
        body = json.dumps({**self.fixed, **options, "texts": texts}).encode()
        request = urllib.request.Request(self.url, body, {"content-type": "application/json", "x-request-timeout-ms": "60000"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def all(self, texts, **options):
        """The predictions, and the seconds that they took."""
        began, found = time.monotonic(), []
        for at in range(0, len(texts), BATCH):
            found += self.ask(texts[at : at + BATCH], **options)["predictions"]
        return found, time.monotonic() - began


def scores(answer):
    return {score["label"]: score["score"] for score in answer["scores"]}


def mean(prediction):
    total, weights = {}, 0
    for window in prediction["windows"]:
        size = window["endByte"] - window["startByte"]
        weights += size
        for label, score in scores(window).items():
            total[label] = total.get(label, 0) + size * score
    return max(total, key=total.get)


def surest(prediction):
    return max(prediction["windows"], key=lambda window: window["confidence"])["label"]


def first_confident(least):
    def pooled(prediction):
        sure = [window for window in prediction["windows"] if window["confidence"] >= least]
        return sure[0]["label"] if sure else surest(prediction)

    return pooled


def long_texts(args, server, draw):
    signals = [(text_of(row), row["label"]) for row in rows(args.signals)]
    signals = [(text, label) for text, label in signals if len(text) >= args.least]
    draw.shuffle(signals)
    signals = signals[: args.texts]
    stars = set(args.stars.split(",")) if args.stars else None
    fillers = [text_of(row) for row in rows(args.fillers) if not stars or row.get("rating") in stars]
    draw.shuffle(fillers)
    fillers = fillers[: args.fillers_asked]
    answers, _ = server.all(fillers, truncation="TRUNCATION_END")
    neutral = [text for text, answer in zip(fillers, answers) if answer["confidence"] < args.neutral]
    if not neutral:
        raise SystemExit("no filler is neutral: raise --neutral")
    joined = []
    for text, _ in signals:
        sides = []
        for _ in range(2):
            side = ""
            while len(side) < args.before:
                side += draw.choice(neutral).rstrip(" .") + ". "
            sides.append(side)
        joined.append(sides[0] + text.rstrip(" .") + ". " + sides[1])
    return signals, joined, len(neutral)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("signals")
    parser.add_argument("fillers")
    parser.add_argument("--server", default="http://localhost:5000")
    parser.add_argument("--task", default="")
    parser.add_argument("--route", default="deep", choices=["fast", "deep", "cascade"])
    parser.add_argument("--texts", type=int, default=400, help="how many long texts")
    parser.add_argument("--least", type=int, default=40, help="the fewest characters of a signal")
    parser.add_argument("--before", type=int, default=700, help="the fewest characters on each side of it")
    parser.add_argument("--neutral", type=float, default=0.6, help="the confidence below which a filler is neutral")
    parser.add_argument("--fillers-asked", type=int, default=2000, help="of how many fillers the neutral ones are taken")
    parser.add_argument("--stars", default="", help="the ratings of fillers, such as 6,7")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    draw, server = random.Random(args.seed), Server(args)
    signals, joined, neutral = long_texts(args, server, draw)
    truth = [label for _, label in signals]
    # Labels of the corpus may be numbers: 0 and 1 of the first one are negative and positive.
    truth = [{"0": "negative", "1": "positive"}.get(label, label) for label in truth]
    letters = sum(map(len, joined)) / len(joined)
    print(f"{len(joined)} texts of {letters:.0f} characters, {neutral} neutral fillers, route {args.route}")
    print(f"{'':24}{'accuracy':>9}{'rows':>7}{'tokens':>8}{'ms':>7}   each of a text")

    def line(name, labels, answers, took):
        right = sum(found == wanted for found, wanted in zip(labels, truth)) / len(truth)
        count = sum(max(1, len(answer["windows"])) for answer in answers) / len(answers)
        tokens = sum(answer["tokenCount"] for answer in answers) / len(answers)
        print(f"{name:24}{right:9.3f}{count:7.1f}{tokens:8.0f}{1000 * took / len(answers):7.1f}")

    texts = [text for text, _ in signals]
    for name, sent, truncation in [
        ("the signal alone", texts, "TRUNCATION_END"),
        ("cut at the end", joined, "TRUNCATION_END"),
        ("cut at the start", joined, "TRUNCATION_START"),
    ]:
        answers, took = server.all(sent, truncation=truncation)
        line(name, [answer["label"] for answer in answers], answers, took)
    answers, took = server.all(joined, truncation="TRUNCATION_WINDOWS", includeWindows=True)
    line("windows, as the task says", [answer["label"] for answer in answers], answers, took)
    for name, pooled in [("mean", mean), ("max", surest), ("first-confident 0.9", first_confident(0.9))]:
        line(f"windows, {name}", [pooled(answer) for answer in answers], answers, took)


if __name__ == "__main__":
    main()
