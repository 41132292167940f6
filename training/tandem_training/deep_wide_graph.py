"""The wide part as ONNX operators: `WideModel` of deep_wide, step by step."""

import numpy as np
from onnx import TensorProto

from .deep_graph import Graph
from .deep_wide import FACTORS, LARGEST, LENGTHS, WideModel


def wide_logits(graph: Graph, wide: WideModel) -> str:
    """Two logits, minus and plus half the log odds."""

    def whole(*values: int) -> str:
        return graph.weight("int." + ".".join(map(str, values)), np.array(values, np.int64))

    def one(value: int) -> str:
        return graph.weight(f"int.scalar.{value}", np.array(value, np.int64))

    # [PAD] spells nothing, so the mask is not needed here.
    letters = graph.node("Gather", graph.weight("wide.spelling", wide.table.numpy()), "input_ids")
    letters = graph.node("Reshape", graph.node("Cast", letters, to=TensorProto.INT64), whole(0, -1))
    there = graph.node("Greater", letters, one(0))
    shape = graph.node("Shape", letters)
    length = graph.node("Slice", shape, whole(1), whole(2))
    behind = graph.node("Add", length, one(LARGEST - 1))
    counted = graph.node("CumSum", graph.node("Cast", there, to=TensorProto.INT64), one(1))
    place = graph.node("Where", there, graph.node("Sub", counted, one(1)), behind)
    size = graph.node("Add", shape, whole(0, LARGEST))
    empty = graph.node("Expand", one(0), size)
    row = graph.node("ScatterElements", empty, place, letters, axis=1)

    codes, inside, code = [], [], None
    for number in range(LARGEST):
        part = graph.node("Slice", row, whole(number), whole(number - LARGEST), whole(1))
        product = graph.node("Mul", part, one(FACTORS[number]))
        code = product if code is None else graph.node("Add", code, product)
        codes.append(graph.node("Add", code, one(LENGTHS[number])) if LENGTHS[number] else code)
        inside.append(part)
    buckets = graph.node("Mod", graph.node("Concat", *codes, axis=1), one(len(wide.weights)))
    kept = graph.node("Greater", graph.node("Concat", *inside, axis=1), one(0))
    kept = graph.node("Cast", kept, to=TensorProto.FLOAT)
    found = graph.node("Gather", graph.weight("wide.weights", wide.weights.numpy()), buckets)
    found = graph.node("Cast", found, to=TensorProto.FLOAT)
    found = graph.node("Mul", graph.node("Mul", found, graph.node("Abs", found)), kept)
    total = graph.node(
        "Mul", graph.node("ReduceSum", found, whole(1)), graph.weight("wide.step", np.float32(wide.step))
    )
    count = graph.node("Max", graph.node("ReduceSum", kept, whole(1)), graph.weight("float.1", np.float32(1)))
    odds = graph.node("Div", total, graph.node("Sqrt", count))
    odds = graph.node("Sub", odds, graph.weight("wide.border", np.float32(wide.border)))
    half = graph.weight("wide.halves", np.array([[-wide.scale / 2, wide.scale / 2]], np.float32))
    return graph.node("Mul", odds, half)
