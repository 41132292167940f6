"""Writes a model that computes NaN for some texts: the server's tests show that it never becomes an answer.

    PYTHONPATH=. python tests/write_nan_model.py ../tests/data/nan-models/sometimes-nan/1

It counts a text's distinct n-grams and takes the root of 16.5 less that: of a text with 17 or more, the root of a
negative number, which ONNX Runtime computes to NaN like any processor. The texts next to it in a batch are none the worse.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tandem_training.features import NGrams
from tandem_training.manifest import seal

NGRAMS = NGrams(min_n=1, max_n=2, buckets=1 << 16, max_code_points=64)
ROOT_OF = 16.5
TEXTS = ["", "a", "좋다", "별로", "재미", "good"]


def build() -> onnx.ModelProto:
    """The graph: ids [batch, features], scale [batch] -> logits [batch, 2]."""
    constants = {
        "padding": np.array(NGRAMS.buckets, dtype=np.int32),
        "axis": np.array([1], dtype=np.int64),
        "root_of": np.array(ROOT_OF, dtype=np.float32),
    }
    nodes = [
        helper.make_node("Less", ["ids", "padding"], ["real"]),
        helper.make_node("Cast", ["real"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["ones", "axis"], ["count"], keepdims=0),
        helper.make_node("Sub", ["root_of", "count"], ["left"]),
        helper.make_node("Sqrt", ["left"], ["root"]),
        helper.make_node("Unsqueeze", ["root", "axis"], ["first"]),
        helper.make_node("Unsqueeze", ["scale", "axis"], ["second"]),
        helper.make_node("Concat", ["first", "second"], ["logits"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "sometimes-nan",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT32, ["batch", "features"]),
            helper.make_tensor_value_info("scale", TensorProto.FLOAT, ["batch"]),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="tandem-tests")
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


def example(text: str) -> dict:
    """What the graph must give for a text, by Python's own arithmetic."""
    ids, truncated = NGRAMS.encode(text)
    logits = [math.sqrt(ROOT_OF - len(ids)), 1 / math.sqrt(max(len(ids), 1))]
    powers = [math.exp(logit - max(logits)) for logit in logits]
    return {
        "text": text,
        "ids": ids,
        "truncated": truncated,
        "logits": [round(logit, 6) for logit in logits],
        "probabilities": [round(power / sum(powers), 6) for power in powers],
    }


MANIFEST = {
    "schema_version": 1,
    "name": "sometimes-nan",
    "version": "1",
    "task": "sentiment",
    "tier": "fast",
    "labels": ["negative", "positive"],
    "description": "For tests: computes NaN for a text of 17 or more distinct n-grams.",
    "license": "MIT OR Apache-2.0",
    "stand_in": False,
    "onnx": {"file": "model.onnx", "output": "logits", "batch_invariant": True},
    "preprocess": {
        "kind": "hashed_ngrams",
        "max_code_points": NGRAMS.max_code_points,
        "min_n": NGRAMS.min_n,
        "max_n": NGRAMS.max_n,
        "buckets": NGRAMS.buckets,
    },
    "calibration": {"temperature": 1.0},
    "golden": {
        "file": "golden.jsonl",
        "source": "python",
        "logit_tolerance": 0.0001,
        "batched_logit_tolerance": 0.0001,
    },
    "limits": {"max_batch_size": 32},
    "training": {
        "command": "training/tests/write_nan_model.py",
        "commit": "none",
        "data": "none",
        "data_license": "CC0 1.0",
        "date": "2026-11-23",
    },
}

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(build(), folder / "model.onnx")
    lines = [json.dumps(example(text), ensure_ascii=False) + "\n" for text in TEXTS]
    (folder / "golden.jsonl").write_text("".join(lines), encoding="utf-8")
    seal(folder, MANIFEST)
