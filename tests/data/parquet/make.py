#!/usr/bin/env python3
"""Writes the Parquet files of the tests, as pyarrow writes them: `pip install pyarrow==26.0.1`, then run this here."""

import pyarrow as pa
import pyarrow.parquet as pq

TEXTS = ["좋다, \"정말\"", "나쁘다", "two\nlines", None, "그냥 그래요"] * 2
LABELS = ["positive", "negative", None, "negative", "positive"] * 2

columns = {
    "id": pa.array(range(10), pa.int64()),
    "Text": pa.array(TEXTS, pa.string()),
    "large": pa.array(TEXTS, pa.large_string()),
    "label": pa.array(LABELS).dictionary_encode(),
    "stars": pa.array([5, 1, 3, None, 4] * 2, pa.int8()),
    "good": pa.array([True, False, None, False, True] * 2),
    "p": pa.array([0.9, 0.25, 0.5, None, 0.75] * 2, pa.float32()),
    "tags": pa.array([["a", "b"], [], None, ["c"], ["b"]] * 2, pa.list_(pa.string())),
    "scores": pa.array([{"no": 0.25, "yes": 0.75}] * 10, pa.struct([("no", pa.float64()), ("yes", pa.float64())])),
    "bytes": pa.array([text and text.encode() for text in TEXTS], pa.binary()),
}
table = pa.table(columns)
for compression in ["none", "snappy", "gzip", "zstd", "lz4"]:
    # Row groups of four rows, so that they end within the texts.
    pq.write_table(table, f"{compression}.parquet", compression=compression, row_group_size=4)
pq.write_table(table.select(["Text", "label"]), "v2.parquet", data_page_version="2.0", compression="snappy")
