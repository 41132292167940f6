#!/usr/bin/env python3
"""Classifies a file by one engine: engine.py ENGINE --texts FILE --out FOLDER (--addr A,B | --program PATH --models FOLDER)

ENGINE is beam, beam-portable, spark or ray, whose packages must be there. FILE holds a JSON object with id and text a line. FOLDER gets
answers.tsv: id, label and error a line, as the engine gave them; and took.json: the seconds, without the engine's own start.
"""

import argparse
import glob
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, nullcontext

from tandem_text.bulk import Bulk

#: So many texts go before the clock runs: processes start, connections open.
WARM = 2000


def asked(arguments):
    """Whom to ask, as keyword arguments of every engine's part."""
    options = {"route": arguments.route, "batch_size": arguments.batch_size}
    if arguments.program:
        return {"program": [arguments.program, "--models", arguments.models], **options}
    client = {"token": os.environ["TANDEM_TOKEN"]} if "TANDEM_TOKEN" in os.environ else None
    return {"target": arguments.addr.split(","), "client": client, **options}


def rows(arguments):
    with open(arguments.texts, encoding="utf-8") as file:
        return [(one["id"], one["text"]) for one in map(json.loads, file)]


@contextmanager
def job_service():
    """Beam's own portable job server. Port 0 is of no use: it does not tell which one it took."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main", "--port", str(port)]
    # Its output goes to a file: nobody reads a pipe here.
    with open(os.devnull, "w") as nowhere, subprocess.Popen(command, stdout=nowhere, stderr=nowhere) as service:
        try:
            for _ in range(1200):
                with socket.socket() as door:
                    if door.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"127.0.0.1:{port}"
        finally:
            service.terminate()


def by_beam(arguments, portable):
    import apache_beam as beam
    from apache_beam.ml.inference.base import KeyedModelHandler, RunInference
    from apache_beam.options.pipeline_options import PipelineOptions

    from tandem_text.beam import LocalTandemModelHandler, TandemModelHandler

    given = asked(arguments)
    handler = LocalTandemModelHandler(**given) if arguments.program else TandemModelHandler(**given)
    items = rows(arguments)
    with job_service() if portable else nullcontext() as service:
        if portable:
            flags = ["--runner=PortableRunner", f"--job_endpoint={service}", "--environment_type=LOOPBACK"]
            flags += [f"--sdk_worker_parallelism={arguments.workers}"]
        else:
            flags = ["--runner=FnApiRunner", f"--direct_num_workers={arguments.workers}"]
            flags += [f"--direct_running_mode={'in_memory' if arguments.workers == 1 else 'multi_processing'}"]
        took = []
        for part in (items[:WARM], items):
            began = time.monotonic()
            with beam.Pipeline(options=PipelineOptions(flags)) as pipeline:
                answers, failed = (
                    pipeline
                    | beam.Create(part)
                    | beam.Reshuffle()
                    | RunInference(KeyedModelHandler(handler)).with_exception_handling()
                )
                lines = answers | beam.MapTuple(lambda key, one: line(key, one.inference.label, one.inference.error))
                # A batch that failed: each of its rows, so that none is lost.
                dead = failed.failed_inferences | beam.FlatMap(
                    lambda one: [line(key, None, repr(one[1][1])) for key, _ in one[0]]
                )
                (lines, dead) | beam.Flatten() | beam.io.WriteToText(f"{arguments.out}/part", num_shards=4)
            took.append(time.monotonic() - began)
    # Each pipeline starts its own workers: the difference is the texts'.
    share = len(items) / max(1, len(items) - len(items[:WARM]))
    took = max(took[1] - took[0], 1e-9) * share
    found = []
    for path in sorted(glob.glob(f"{arguments.out}/part-*")):
        with open(path, encoding="utf-8") as file:
            found += file.read().splitlines()
        os.unlink(path)
    return found, took


def line(key, label, error):
    return f"{key}\t{label or ''}\t{error or ''}"


def by_spark(arguments):
    from pyspark.sql import SparkSession

    from tandem_text.spark import classify_udf

    os.environ["PYSPARK_PYTHON"] = sys.executable
    # Four tries a task, as a cluster has.
    builder = SparkSession.builder.master(f"local[{arguments.workers},4]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", "2048")
    builder = builder.config("spark.local.dir", f"{arguments.out}/scratch").config("spark.driver.bindAddress", "127.0.0.1")
    spark = builder.config("spark.driver.host", "127.0.0.1").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    classify = classify_udf(**asked(arguments))
    texts = spark.read.schema("id string, text string").json(arguments.texts).repartition(4 * arguments.workers).cache()
    texts.count()
    for part in (texts.limit(WARM).repartition(arguments.workers), texts):
        began = time.monotonic()
        answers = part.select("id", classify("text").alias("answer")).select("id", "answer.label", "answer.error")
        answers.write.mode("overwrite").parquet(f"{arguments.out}/parquet")
        took = time.monotonic() - began
    found = [line(*row) for row in spark.read.parquet(f"{arguments.out}/parquet").collect()]
    spark.stop()
    return found, took


def by_ray(arguments):
    import ray

    from tandem_text.ray import Classify

    # A busy machine is no fault of Ray's.
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")
    ray.init(num_cpus=max(2, arguments.workers), include_dashboard=False, object_store_memory=256 << 20, log_to_driver=False)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    given = asked(arguments)
    bulk = Bulk(**given)
    items = [{"id": key, "text": text} for key, text in rows(arguments)]
    # Actors live as long as their map: the clock runs from the first answers on, when all have started.
    texts = ray.data.from_items(items, override_num_blocks=max(8, len(items) // 2500)).materialize()
    answers = texts.map_batches(
        Classify,
        fn_constructor_args=("text", bulk),
        batch_size=2048,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=arguments.workers),
    )
    found, began, first = [], None, 0
    for batch in answers.iter_batches(batch_size=None, batch_format="pyarrow"):
        if began is None:
            began, first = time.monotonic(), batch.num_rows
        found += map(line, *(batch.column(name).to_pylist() for name in ("id", "label", "error")))
    # As if all had been timed.
    took = (time.monotonic() - began) * len(found) / max(1, len(found) - first)
    ray.shutdown()
    return found, took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["beam", "beam-portable", "spark", "ray"])
    for name in ("--texts", "--out"):
        parser.add_argument(name, required=True)
    for name in ("--addr", "--program", "--models"):
        parser.add_argument(name)
    parser.add_argument("--route", default="fast")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=128)
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    engines = {
        "beam": lambda given: by_beam(given, portable=False),
        "beam-portable": lambda given: by_beam(given, portable=True),
        "spark": by_spark,
        "ray": by_ray,
    }
    found, took = engines[arguments.engine](arguments)
    with open(f"{arguments.out}/answers.tsv", "w", encoding="utf-8") as file:
        file.writelines(f"{one}\n" for one in found)
    with open(f"{arguments.out}/took.json", "w", encoding="utf-8") as file:
        json.dump({"seconds": took, "rows": len(found)}, file)


if __name__ == "__main__":
    main()
