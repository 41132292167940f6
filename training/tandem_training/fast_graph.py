"""The fast model's ONNX graph: look up one weight per n-gram, add, scale, bias.

    ids [batch, features] -> Gather -> ReduceSum -> * scale -> + bias -> [-z/2, z/2]

Two four-bit codes share a byte, so the look-up has two steps: byte `id / 2` of the packed
codes, then the weight at `2 * byte + id % 2` in a table of 512 that lists both halves of
every byte. A row is padded with the id `buckets`, whose weight is exactly zero, so that its
result does not depend on the rows it is batched with.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


def pack(codes: np.ndarray) -> np.ndarray:
    """Two codes a byte, the even bucket in the low half."""
    return codes[0::2] | codes[1::2] << 4


def build(codes: np.ndarray, levels: np.ndarray, bias: float) -> onnx.ModelProto:
    """The graph for codes `[buckets]` (an even number) and 16 levels; adds the padding bucket."""
    zero = int(np.flatnonzero(levels == 0)[0])
    every_byte = np.arange(256)
    halves_of_bytes = np.stack([levels[every_byte & 15], levels[every_byte >> 4]], axis=1)
    constants = {
        "codes": pack(np.append(codes, [zero, zero]).astype(np.uint8)),
        "weights": halves_of_bytes.reshape(-1).astype(np.float32),
        "two": np.array(2, dtype=np.int32),
        "axis": np.array([1], dtype=np.int64),
        "bias": np.array(bias, dtype=np.float32),
        "halves": np.array([[-0.5, 0.5]], dtype=np.float32),
    }
    nodes = [
        helper.make_node("Div", ["ids", "two"], ["place"]),
        helper.make_node("Mul", ["place", "two"], ["even"]),
        helper.make_node("Sub", ["ids", "even"], ["half"]),
        helper.make_node("Gather", ["codes", "place"], ["byte_uint8"]),
        helper.make_node("Cast", ["byte_uint8"], ["byte"], to=TensorProto.INT32),
        helper.make_node("Mul", ["byte", "two"], ["pair"]),
        helper.make_node("Add", ["pair", "half"], ["entry"]),
        helper.make_node("Gather", ["weights", "entry"], ["found"]),
        helper.make_node("ReduceSum", ["found", "axis"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["z"]),
        helper.make_node("Unsqueeze", ["z", "axis"], ["column"]),
        helper.make_node("Mul", ["column", "halves"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "sentiment-fast",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT32, ["batch", "features"]),
            helper.make_tensor_value_info("scale", TensorProto.FLOAT, ["batch"]),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model
