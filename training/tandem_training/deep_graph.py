"""Writes the deep model as an ONNX graph, node by node, in float32 or in eight bits.

Written by hand rather than traced, so that each step is one fused operator of ONNX Runtime
and nothing computes shapes. Several models of one shape average their logits (an ensemble).
"""

from collections.abc import Callable, Sequence

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from .deep_model import BLOCK, DeepModel, in_four_bits

OPSET = 17
FUSED = "com.microsoft"
# A linear layer: (graph, name of the layer, input, weight [in, out], bias) -> output.
Linear = Callable[["Graph", str, str, np.ndarray, np.ndarray], str]


class Graph:
    """Collects nodes and weights; every method gives the name of what it computes."""

    def __init__(self) -> None:
        self.nodes, self.weights, self.count = [], {}, 0

    def weight(self, name: str, value: np.ndarray) -> str:
        """A constant of the graph, kept once a name."""
        self.weights.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, *inputs: str, domain: str = "", outputs: int = 1, **attributes) -> str | list[str]:
        """Adds an operator."""
        self.count += 1
        names = [f"{kind.lower()}_{self.count}" + (f"_{index}" if index else "") for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=names[0], domain=domain, **attributes))
        return names if outputs > 1 else names[0]

    def model(self, output: str) -> ModelProto:
        """The finished model with the inputs of every deep model here."""
        self.nodes.append(helper.make_node("Identity", [output], ["logits"], name="logits"))
        shape = ["batch", "sequence"]
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")
        ]
        outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])]
        graph = helper.make_graph(self.nodes, "sentiment", inputs, outputs, list(self.weights.values()))
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(FUSED, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="tandem_training")


def float_linear(graph: Graph, name: str, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
    """The layer as it was trained."""
    product = graph.node("MatMul", x, graph.weight(f"{name}.weight", weight))
    return graph.node("Add", product, graph.weight(f"{name}.bias", bias))


def build(
    models: Sequence[DeepModel],
    linear: Linear = float_linear,
    small_pieces: bool = False,
    beside: Callable[["Graph"], str] | None = None,
) -> ModelProto:
    """The graph of one model, or of the mean of several.

    `small_pieces` keeps the embeddings in int8; `beside` adds logits of its own.
    """
    graph = Graph()
    shared = _Shared(graph, models, small_pieces)
    logits = [_one(graph, f"m{index}", model, shared, linear) for index, model in enumerate(models)]
    total = logits[0] if len(logits) == 1 else graph.node("Mean", *logits)
    return graph.model(graph.node("Add", total, beside(graph)) if beside else total)


class _Shared:
    """What all models of the graph read: the mask in its forms and the rows of the embeddings."""

    def __init__(self, graph: Graph, models: Sequence[DeepModel], small: bool):
        self.rows = []
        for index, model in enumerate(models):
            gather = _gather_four_bits if model.config.small_pieces else _gather_eight_bits if small else _gather_floats
            self.rows.append(gather(graph, f"m{index}.pieces", model.pieces.weight))
        self.mask = graph.node("Cast", "attention_mask", to=TensorProto.INT32)
        shape = graph.node("Shape", "input_ids")
        self.length = graph.node(
            "Slice", shape, *(graph.weight(f"int.{at}", np.array([at], np.int64)) for at in (1, 2))
        )
        last = graph.weight("int.last", np.array([-1], np.int64))
        kept = graph.node("Cast", "attention_mask", to=TensorProto.FLOAT)
        self.kept = graph.node("Unsqueeze", kept, last)
        one = graph.weight("float.1", np.float32(1))
        many = graph.weight("float.10000", np.float32(10000))
        self.hide = graph.node("Mul", graph.node("Sub", self.kept, one), many)
        axis = graph.weight("int.1", np.array([1], np.int64))
        self.pieces_of = graph.node("ReduceSum", self.kept, axis, keepdims=0)


def _one(graph: Graph, name: str, model: DeepModel, shared: _Shared, linear: Linear) -> str:
    epsilon, heads = model.config.epsilon, model.config.heads
    index = int(name[1:])

    def constant(part: str, value) -> str:
        return graph.weight(f"{name}.{part}", _array(value))

    def apply(part: str, x: str, layer) -> str:
        return linear(graph, f"{name}.{part}", x, _array(layer.weight).T, _array(layer.bias))

    starts, steps = graph.weight("int.0", np.array([0], np.int64)), shared.length
    positions = graph.node("Slice", constant("positions", model.positions.weight), starts, steps)
    x = graph.node("Add", shared.rows[index], positions)
    x = graph.node(
        "LayerNormalization",
        x,
        constant("norm.scale", model.norm.weight),
        constant("norm.shift", model.norm.bias),
        epsilon=epsilon,
    )
    for number, layer in enumerate(model.encoder):
        part = f"{number}"

        def normed(old: str, new: str, norm, which: str) -> str:
            scale = constant(f"{part}.{which}.scale", norm.weight)
            shift = constant(f"{part}.{which}.shift", norm.bias)
            return graph.node("SkipLayerNormalization", new, old, scale, shift, domain=FUSED, epsilon=epsilon)

        thirds = graph.weight(f"{name}.thirds", np.full(3, model.config.hidden, np.int64))
        query, key, value = graph.node("Split", apply(f"{part}.qkv", x, layer.qkv), thirds, outputs=3, axis=2)
        mixed = graph.node(
            "MultiHeadAttention",
            query,
            key,
            value,
            "",
            shared.mask,
            domain=FUSED,
            num_heads=heads,
            mask_filter_value=-10000.0,
        )
        x = normed(x, apply(f"{part}.mix", mixed, layer.mix), layer.norm1, "norm1")
        inner = graph.node("Gelu", apply(f"{part}.up", x, layer.up), domain=FUSED)
        x = normed(x, apply(f"{part}.down", inner, layer.down), layer.norm2, "norm2")
    axis = graph.weight("int.1", np.array([1], np.int64))
    total = graph.node("ReduceSum", graph.node("Mul", x, shared.kept), axis, keepdims=0)
    mean = graph.node("Div", total, shared.pieces_of)
    most = graph.node("ReduceMax", graph.node("Add", x, shared.hide), axes=[1], keepdims=0)
    pooled = graph.node("Concat", mean, most, axis=1)
    # The head is small and decides: it stays in float32.
    pooled = graph.node(
        "Gelu",
        float_linear(graph, f"{name}.hidden", pooled, _array(model.hidden.weight).T, _array(model.hidden.bias)),
        domain=FUSED,
    )
    return float_linear(graph, f"{name}.label", pooled, _array(model.label.weight).T, _array(model.label.bias))


def _gather_floats(graph: Graph, name: str, table) -> str:
    return graph.node("Gather", graph.weight(name, _array(table)), "input_ids")


def _gather_eight_bits(graph: Graph, name: str, table) -> str:
    """One scale a piece."""
    values = _array(table)
    scale = np.maximum(np.abs(values).max(axis=1, keepdims=True), 1e-12).astype(np.float32) / 127
    whole = graph.node("Gather", graph.weight(name, np.round(values / scale).astype(np.int8)), "input_ids")
    factor = graph.node("Gather", graph.weight(f"{name}.scale", scale), "input_ids")
    return graph.node("Mul", graph.node("Cast", whole, to=TensorProto.FLOAT), factor)


def _gather_four_bits(graph: Graph, name: str, table) -> str:
    """As the model was trained, so nothing is lost: two steps a byte, the lower half first."""
    steps, scale = in_four_bits(table.detach())
    whole = (steps.flatten(-2) + 8).numpy().astype(np.uint8)
    packed = graph.weight(name, whole[:, 0::2] | whole[:, 1::2] << 4)
    factor = graph.weight(f"{name}.scale", scale.squeeze(-1).numpy())
    return graph.node(
        "GatherBlockQuantized", packed, "input_ids", factor,
        domain=FUSED, bits=4, block_size=BLOCK, gather_axis=0, quantize_axis=1,
    )  # fmt: skip


def _array(value) -> np.ndarray:
    return value.detach().float().numpy()
