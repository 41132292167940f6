"""Writes a model of MiniLM's size with random weights: for comparisons of speed, its answers mean nothing.

6 layers of 384, 12 heads, 1,536 inside, float32, with the tokenizer of the shipped deep model. The weights follow from a
seed. The golden examples are ONNX Runtime's own outputs, so they hold the server to this file and to nothing else.

    python3 benches/minilm.py --out /tmp/minilm     # then: tandem serve --models /tmp/minilm
"""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, save
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
TOKENIZER = ROOT / "models/sentiment-deep/1/tokenizer.json"
REVIEWS = ROOT / "src/cli/bench/reviews.txt"
LAYERS, HIDDEN, HEADS, INNER, LABELS = 6, 384, 12, 1536, 2
FUSED = "com.microsoft"
GOLDEN = 32

MANIFEST = """\
schema_version = 1
name = "minilm-random"
version = "1"
task = "sentiment"
tier = "deep"
labels = ["negative", "positive"]
description = "Random weights in MiniLM's shape, to compare speed: its answers mean nothing."
license = "MIT OR Apache-2.0"
stand_in = true

[onnx]
file = "model.onnx"
output = "logits"
batch_invariant = true

[preprocess]
kind = "tokenizer"
file = "tokenizer.json"
max_tokens = {max_tokens}
max_bytes = 8192
truncation = "end"

[golden]
file = "golden.jsonl"
source = "onnxruntime"
logit_tolerance = 0.001
batched_logit_tolerance = 0.001

[limits]
max_batch_size = 32

[files]
"""


class Graph:
    """Collects nodes and random weights; every method gives the name of what it computes."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights = [], []

    def constant(self, value: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def drawn(self, *shape: int) -> str:
        # Wide enough that attention is not flat: nothing here may be cheap by chance.
        return self.constant(self.random.normal(0, 0.05, shape).astype(np.float32))

    def node(self, kind: str, *inputs: str, domain: str = "", outputs: int = 1, **attributes):
        names = [f"n{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return names if outputs > 1 else names[0]

    def linear(self, x: str, width: int, out: int) -> str:
        return self.node("Add", self.node("MatMul", x, self.drawn(width, out)), self.drawn(out))

    def norm(self) -> tuple[str, str]:
        return self.constant(np.ones(HIDDEN, np.float32)), self.constant(np.zeros(HIDDEN, np.float32))

    def skip_norm(self, x: str, old: str) -> str:
        return self.node("SkipLayerNormalization", x, old, *self.norm(), domain=FUSED, epsilon=1e-12)


def build(vocabulary: int, max_tokens: int, seed: int):
    graph = Graph(seed)
    whole = lambda *values: graph.constant(np.array(values, np.int64))  # noqa: E731
    mask = graph.node("Cast", "attention_mask", to=TensorProto.INT32)
    kept = graph.node("Unsqueeze", graph.node("Cast", "attention_mask", to=TensorProto.FLOAT), whole(-1))
    length = graph.node("Slice", graph.node("Shape", "input_ids"), whole(1), whole(2))
    pieces = graph.node("Gather", graph.drawn(vocabulary, HIDDEN), "input_ids")
    places = graph.node("Slice", graph.drawn(max_tokens, HIDDEN), whole(0), length)
    x = graph.node("LayerNormalization", graph.node("Add", pieces, places), *graph.norm(), epsilon=1e-12)
    for _ in range(LAYERS):
        query, key, value = (graph.linear(x, HIDDEN, HIDDEN) for _ in range(3))
        attention = (query, key, value, "", mask)
        mixed = graph.node("MultiHeadAttention", *attention, domain=FUSED, num_heads=HEADS, mask_filter_value=-1e4)
        x = graph.skip_norm(graph.linear(mixed, HIDDEN, HIDDEN), x)
        inner = graph.node("Gelu", graph.linear(x, HIDDEN, INNER), domain=FUSED)
        x = graph.skip_norm(graph.linear(inner, INNER, HIDDEN), x)
    total = graph.node("ReduceSum", graph.node("Mul", x, kept), whole(1), keepdims=0)
    mean = graph.node("Div", total, graph.node("ReduceSum", kept, whole(1), keepdims=0))
    graph.nodes.append(helper.make_node("Identity", [graph.linear(mean, HIDDEN, LABELS)], ["logits"]))
    shape = ["batch", "sequence"]
    names = ("input_ids", "attention_mask")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in names]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", LABELS])]
    body = helper.make_graph(graph.nodes, "minilm", inputs, outputs, graph.weights)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=8, producer_name="tandem benches")


def golden(model: Path, tokenizer: Tokenizer, max_tokens: int):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for text in REVIEWS.read_text(encoding="utf-8").splitlines()[:GOLDEN]:
        ids = tokenizer.encode(text).ids
        assert len(ids) <= max_tokens, "reviews are short"
        row = np.array([ids], np.int64)
        (logits,) = session.run(["logits"], {"input_ids": row, "attention_mask": np.ones_like(row)})
        powers = np.exp(logits[0] - logits[0].max())
        yield {
            "text": text,
            "ids": ids,
            "truncated": False,
            "logits": [round(float(value), 6) for value in logits[0]],
            "probabilities": [round(float(value), 6) for value in powers / powers.sum()],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the model repository to write")
    parser.add_argument("--max-tokens", type=int, default=128, help="the most tokens of a text [default: 128]")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    folder = arguments.out / "minilm-random" / "1"
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    shutil.copyfile(TOKENIZER, folder / "tokenizer.json")
    model = build(tokenizer.get_vocab_size(), arguments.max_tokens, arguments.seed)
    save(model, folder / "model.onnx")
    with open(folder / "golden.jsonl", "w", encoding="utf-8", newline="\n") as file:
        for example in golden(folder / "model.onnx", tokenizer, arguments.max_tokens):
            file.write(json.dumps(example, ensure_ascii=False) + "\n")
    manifest = MANIFEST.format(max_tokens=arguments.max_tokens)
    for name in ("golden.jsonl", "model.onnx", "tokenizer.json"):
        manifest += f'"{name}" = "{hashlib.sha256((folder / name).read_bytes()).hexdigest()}"\n'
    (folder / "manifest.toml").write_text(manifest, encoding="utf-8")
    print(folder)


if __name__ == "__main__":
    main()
