"""Eight-bit linear layers for `deep_graph`: three ways, to be measured against each other.

Weights are signed, one scale a column, and use 7 of the 8 bits: processors without VNNI add
pairs of products in 16 bits, which 8-bit weights can overflow and 7-bit weights cannot. So
every processor computes the same integers.

- `dynamic`: the range of the activations is that of the batch at hand, so a row's result
  depends on its neighbours.
- `by_row`: one range a piece, so it does not; a few more operators.
- `fixed`: ranges measured once on reviews; does not either, and is as fast as `dynamic`.
"""

from typing import NamedTuple

import numpy as np
import torch

from .deep_data import Encoded, gather, in_order
from .deep_graph import FUSED, Graph, Linear
from .deep_model import DeepModel

LARGEST_WEIGHT = 63
EVERY = 4  # the products are summed over every fourth batch, for time
ORDINARY = 0.99  # the share of the channels that are not made smaller
UNEVEN = ("qkv", "up", "down")  # layers whose input has channels of very unlike size


def small_weight(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 weights [in, out] and one scale a column."""
    scale = np.maximum(np.abs(weight).max(axis=0), 1e-12).astype(np.float32) / LARGEST_WEIGHT
    return np.round(weight / scale).astype(np.int8), scale


def careful_weight(weight: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same, rounding row after row and letting the later rows make good for the earlier (GPTQ).

    `second` is the mean of the products of every two inputs over some reviews.
    """
    scale = np.maximum(np.abs(weight).max(axis=0), 1e-12).astype(np.float32) / LARGEST_WEIGHT
    damped = second + np.eye(len(second)) * 0.01 * np.diag(second).mean()
    upper = np.linalg.cholesky(np.linalg.inv(damped)).T.astype(np.float32)
    left, small = weight.astype(np.float32).copy(), np.zeros(weight.shape, np.int8)
    for row in range(len(left)):
        small[row] = np.clip(np.round(left[row] / scale), -LARGEST_WEIGHT, LARGEST_WEIGHT)
        error = (left[row] - small[row] * scale) / upper[row, row]
        left[row + 1 :] -= upper[row, row + 1 :, None] * error
    return small, scale


def dynamic(graph: Graph, name: str, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
    """One operator that finds the range, quantises, multiplies and scales back."""
    small, scale = small_weight(weight)
    inputs = _weights(graph, name, small, scale, bias)
    return graph.node("DynamicQuantizeMatMul", x, *inputs[:2], "", inputs[2], domain=FUSED)


def by_row(graph: Graph, name: str, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
    """The range of each piece's own vector, symmetric."""
    small, scale = small_weight(weight)
    weight_name, scale_name, bias_name = _weights(graph, name, small, scale, bias)
    largest = graph.node("ReduceMax", graph.node("Abs", x), axes=[-1], keepdims=1)
    step = graph.node("Max", graph.node("Mul", largest, _float(graph, 1 / 127)), _float(graph, 1e-12))
    whole = graph.node("QuantizeLinear", graph.node("Div", x, step), _float(graph, 1.0), _zero(graph, 128))
    product = graph.node(
        "MatMulIntegerToFloat", whole, weight_name, _float(graph, 1.0), scale_name, _zero(graph, 128), domain=FUSED
    )
    return graph.node("Add", graph.node("Mul", product, step), bias_name)


class Inputs(NamedTuple):
    """What a linear layer's input looks like over some reviews."""

    low: np.ndarray  # of each channel
    high: np.ndarray
    second: np.ndarray  # the mean of the products of every two channels


def fixed(measured: dict[str, Inputs]) -> Linear:
    """Ranges known beforehand, by layer name.

    A few channels of a transformer are far larger than the rest and would take the range for
    themselves: those are made smaller first, and their weights larger by as much.
    """

    def linear(graph: Graph, name: str, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
        low, high, second = measured[name]
        largest = np.maximum(np.abs(low), np.abs(high))
        share = np.maximum(1, largest / np.quantile(largest, ORDINARY)).astype(np.float32)
        if not name.endswith(UNEVEN):
            share = np.ones_like(share)
        least, most = min(float((low / share).min()), 0.0), max(float((high / share).max()), 0.0)
        step = np.float32((most - least) / 255)
        zero = _zero(graph, int(round(-least / float(step))))
        small, scale = careful_weight(weight * share[:, None], second / np.outer(share, share))
        weight_name, scale_name, bias_name = _weights(graph, name, small, scale * step, bias)
        if name.endswith(UNEVEN):
            x = graph.node("Mul", x, graph.weight(f"{name}.share", 1 / share / step))
            whole = graph.node("QuantizeLinear", x, _float(graph, 1.0), zero)
        else:
            whole = graph.node("QuantizeLinear", x, _float(graph, step), zero)
        parts = (whole, weight_name, _float(graph, 1.0), scale_name, zero, "", bias_name)
        return graph.node("MatMulIntegerToFloat", *parts, domain=FUSED)

    return linear


@torch.inference_mode()
def measure_inputs(models: list[DeepModel], data: Encoded) -> dict[str, Inputs]:
    """Looks at every linear layer's input over some reviews."""
    found: dict[str, Inputs] = {}
    batch = 0

    def keep(name: str, x: torch.Tensor) -> None:
        flat = x.flatten(0, 1)
        low, high = flat.amin(0).numpy(), flat.amax(0).numpy()
        if batch % EVERY == 0:
            second = (flat.T @ flat).numpy().astype(np.float64)
        else:
            second = 0.0
        old = found.get(name, Inputs(low, high, 0.0))
        found[name] = Inputs(np.minimum(low, old.low), np.maximum(high, old.high), old.second + second)

    hooks = [
        getattr(layer, part).register_forward_pre_hook(
            lambda _module, inputs, name=f"m{index}.{number}.{part}": keep(name, inputs[0])
        )
        for index, model in enumerate(models)
        for number, layer in enumerate(model.encoder)
        for part in ("qkv", "mix", "up", "down")
    ]
    for batch, rows in enumerate(in_order(data, 2048)):
        for model in models:
            model.eval()(torch.from_numpy(gather(data, rows)))
    for hook in hooks:
        hook.remove()
    return found


def _weights(graph: Graph, name: str, small: np.ndarray, scale: np.ndarray, bias: np.ndarray) -> list[str]:
    parts = (("weight", small), ("scale", scale), ("bias", bias))
    return [graph.weight(f"{name}.{part}", value) for part, value in parts]


def _float(graph: Graph, value: float) -> str:
    return graph.weight(f"float.{float(value)!r}", np.float32(value))


def _zero(graph: Graph, value: int) -> str:
    return graph.weight(f"zero.{value}", np.uint8(value))
