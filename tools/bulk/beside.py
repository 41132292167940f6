#!/usr/bin/env python3
"""What a caller of single texts by the deep route waits while bulk work runs beside it: beside.py [TANDEM]. Needs grpcio and protobuf.

Prints the median and the 95th and 99th percentiles in milliseconds: alone, beside bulk work at bulk priority, and beside the same at the priority
of the caller.
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import proof
from tandem_text import Client
from tandem_text.bulk import Bulk, Classifier

CALLS = 1000
# They take hundreds of milliseconds each where nobody makes way.
CALLS_AT_ONE_PRIORITY = 200


def waits(client, texts):
    found = []
    for text in texts:
        began = time.monotonic()
        client.predict(text, route="deep", priority="interactive")
        found.append((time.monotonic() - began) * 1000)
        time.sleep(0.01)
    return found


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("TANDEM", str(proof.ROOT / "target/release/tandem"))
    texts = [text for _, text in proof.texts(None, 0)]
    with tempfile.TemporaryDirectory() as folder:
        server = proof.Server(program, Path(folder))
    try:
        with Client(server.address) as client:
            for name, priority in [("alone", None), ("bulk", "bulk"), ("interactive", "interactive")]:
                stop = threading.Event()
                done = []

                def work(priority=priority, stop=stop, done=done):
                    classifier = Classifier(Bulk(server.address, route="deep", priority=priority))
                    while not stop.is_set():
                        done.append(len(classifier.classify(texts[:2000]).label))
                    classifier.close()

                thread = threading.Thread(target=work)
                before = server.texts()
                if priority:
                    thread.start()
                    while server.texts() < before + 500:
                        time.sleep(0.05)
                began, before = time.monotonic(), server.texts()
                calls = CALLS_AT_ONE_PRIORITY if priority == "interactive" else CALLS
                found = waits(client, texts[:calls])
                rate = (server.texts() - before - calls) / (time.monotonic() - began)
                stop.set()
                if priority:
                    thread.join()
                    name = f"beside bulk work at {name} priority, {rate:,.0f} texts/s"
                cuts = statistics.quantiles(found, n=100)
                print(f"{name}: median {cuts[49]:.1f} ms, p95 {cuts[94]:.1f} ms, p99 {cuts[98]:.1f} ms", flush=True)
    finally:
        server.kill()


if __name__ == "__main__":
    main()
