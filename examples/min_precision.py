#!/usr/bin/env python3
"""Counts what a running server answers, and how much of that is right, at each `min_precision`.

    python3 examples/min_precision.py LABELLED.tsv --server http://localhost:5000 --task sentiment

LABELLED has the columns text and label between tabs, without quoting; --map 1=positive says what a label means. Name
texts that took part in nothing: neither in training nor in the calibration.
"""

import argparse
import json
import urllib.request

BATCH = 64


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--server", default="http://localhost:5000")
    parser.add_argument("--task", default="")
    parser.add_argument("--map", action="append", default=["0=negative", "1=positive"])
    parser.add_argument("--precisions", default="0.9,0.93,0.95,0.97,0.985")
    args = parser.parse_args()
    meanings = dict(pair.split("=", 1) for pair in args.map)
    with open(args.file, encoding="utf-8") as file:
        names = next(file).rstrip("\n").split("\t")
        rows = [dict(zip(names, line.rstrip("\n").split("\t"))) for line in file]
    rows = [(row["text"], meanings.get(row["label"], row["label"])) for row in rows if row["text"].strip()]
    print(f"{len(rows)} texts\n\n| min_precision | answered | right |\n| ---: | ---: | ---: |")
    for precision in [None, *map(float, args.precisions.split(","))]:
        given = right = 0
        for at in range(0, len(rows), BATCH):
            part = rows[at : at + BATCH]
            body = {"task": args.task, "route": "ROUTE_CASCADE", "texts": [text for text, _ in part]}
            if precision is not None:
                body["minPrecision"] = precision
            content = json.dumps(body).encode()
            request = urllib.request.Request(args.server.rstrip("/") + "/v1/predict", content, {"content-type": "application/json"})
            with urllib.request.urlopen(request) as answer:
                predictions = json.load(answer)["predictions"]
            answered = [(one["label"], label) for one, (_, label) in zip(predictions, part) if one["decision"] != "DECISION_ABSTAINED"]
            given += len(answered)
            right += sum(found == label for found, label in answered)
        print(f"| {precision or 'none'} | {given / len(rows):.2%} | {right / max(given, 1):.2%} |")


if __name__ == "__main__":
    main()
