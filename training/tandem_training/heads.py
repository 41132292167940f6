"""Trains several heads on one encoder, and writes them as one model: one graph with an output for each head.

    python -m tandem_training.heads --encoder FOLDER --head sentiment=reviews.tsv --head toxicity=comments.tsv \\
        --out models/two-heads/1

FOLDER is what transformers wrote of a sequence classifier (or of an encoder, with `--pooling mean`). The encoder stays as
it is. Each file has the columns `text` and `label`; eight tenths of it train the head, a tenth fits its temperature, and a
tenth gives its figures. The folder gets model.onnx, tokenizer.json, golden.jsonl with PyTorch's own outputs, and
manifest.toml with a table `[[heads]]` for each head. Name and version are the last two parts of `--out`.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from .calibration import softmax
from .deep_compare import measured, tolerance
from .golden_examples import FILE, texts_of
from .golden_file import write_jsonl
from .golden_texts import golden_texts
from .heads_encoder import INPUTS, Encoder, export, from_folder
from .heads_train import Head, apply, labels_of, read_texts, train
from .manifest import seal, training_table
from .model import Encoding

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
LEAST_TOLERANCE = 1e-3  # other machines round otherwise
LARGEST_DIFFERENCE = 0.05  # float32 strays by far less
BATCHES = (2, 8, 32)
ORDINARY = 64


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", type=Path, required=True, help="the folder of a transformer")
    parser.add_argument("--head", action="append", required=True, metavar="TASK=FILE", help="a head and its labelled texts; give it two times or more")
    parser.add_argument("--labels", action="append", default=[], metavar="TASK=LABEL,LABEL", help="the order of a head's labels (default: the alphabet's)")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the model: .../NAME/VERSION")
    parser.add_argument("--pooling", choices=["classifier", "mean"], default="classifier", help="what heads read: what the folder's own classifier reads, or the mean of the last layer over the tokens")
    parser.add_argument("--max-tokens", type=int, help="the most tokens to read of a text (default: what the encoder reads, at most 512)")
    parser.add_argument("--texts", type=Path, nargs="+", default=[], help="texts of the golden examples, one a line (default: texts that preprocessing is likely to get wrong, and held-out ones)")
    parser.add_argument("--description", default="")
    parser.add_argument("--license", default="", help="of the weights")
    parser.add_argument("--data", default="", help="for the manifest: what texts these are")
    parser.add_argument("--data-license", default="", help="for the manifest: the licence of the texts")
    parser.add_argument("--stand-in", action="store_true", help="its answers are not meant to be right")
    return parser.parse_args()


def pairs(given: Sequence[str], option: str) -> dict[str, str]:
    """`TASK=VALUE` options by their task."""
    found: dict[str, str] = {}
    for one in given:
        task, sign, value = one.partition("=")
        if not sign or not value or not NAME.fullmatch(task):
            raise ValueError(f"{option} {one}: give TASK=..., the task in small letters, digits, `_` and `-`, at most 63")
        if task in found:
            raise ValueError(f"{option}: the task {task} is there twice")
        found[task] = value
    return found


def train_heads(encoder: Encoder, files: Mapping[str, str], orders: Mapping[str, str]) -> tuple[list[Head], list[str]]:
    """A head for each file, and some texts of all of them."""
    unknown = set(orders) - set(files)
    if unknown:
        raise ValueError(f"--labels names {', '.join(sorted(unknown))}, and no --head does")
    if len(files) < 2:
        raise ValueError("--head must be given two times or more")
    taken = set(files) & set(INPUTS)
    if taken:
        raise ValueError(f"--head: a task can't have the name of an input: {', '.join(sorted(taken))}")
    # Read all first, so that a mistake in the last file shows before the long work.
    rows = {task: read_texts(path) for task, path in files.items()}
    labels = {task: labels_of(files[task], rows[task], orders[task].split(",") if task in orders else None) for task in files}
    heads, texts = [], []
    for task in files:
        pooled = encoder.pooled(encoder.encode([row.text for row in rows[task]]), progress=True)
        head = train(task, rows[task], pooled, labels[task])
        print(f"{task}: accuracy {head.metrics['accuracy']} on {head.metrics['rows']} held-out texts, temperature {head.temperature}")
        heads.append(head)
        texts += [row.text for row in rows[task]]
    return heads, texts


def logits_of(encoder: Encoder, heads: Sequence[Head], encodings: Sequence[Encoding]) -> np.ndarray:
    """PyTorch's numbers of all heads, one after the other; each text runs alone."""
    pooled = encoder.pooled(encodings, batch_size=1)
    return np.concatenate([apply(head.linear, pooled) for head in heads], axis=1)


def examples(heads: Sequence[Head], texts: Sequence[str], encodings: Sequence[Encoding], logits: np.ndarray) -> list[dict]:
    """The golden examples: the numbers and the probabilities of all heads, in the heads' order."""
    ends = np.cumsum([len(head.labels) for head in heads])[:-1]
    of_heads = [softmax(part, head.temperature) for head, part in zip(heads, np.split(logits, ends, axis=1), strict=True)]
    rounded = [np.concatenate(parts).round(6).tolist() for parts in zip(*of_heads, strict=True)]
    return [
        {
            "text": text,
            "ids": list(encoding.ids),
            "truncated": encoding.truncated,
            "logits": [round(float(value), 6) for value in row],
            "probabilities": chances,
        }
        for text, encoding, row, chances in zip(texts, encodings, logits, rounded, strict=True)
    ]


def differences(path: Path, encoder: Encoder, heads: Sequence[Head], encodings: Sequence[Encoding], wanted: np.ndarray) -> tuple[float, float]:
    """The largest difference of the graph's numbers from PyTorch's, for texts alone and for texts in batches."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [head.task for head in heads]
    # A graph has no input that the encoder takes and does not read, such as DeBERTa's token types.
    inputs = {one.name for one in session.get_inputs()}

    def worst(size: int) -> float:
        largest = 0.0
        for start in range(0, len(encodings), size):
            feed = encoder.batch(encodings[start : start + size])
            found = session.run(names, {name: value for name, value in feed.items() if name in inputs})
            largest = max(largest, float(np.abs(np.concatenate(found, axis=1) - wanted[start : start + size]).max()))
        return largest

    return worst(1), max(worst(size) for size in BATCHES)


def manifest_of(arguments: argparse.Namespace, encoder: Encoder, heads: Sequence[Head], found: tuple[float, float]) -> dict:
    """The manifest, without the files."""
    alone, batched = found
    preprocess = {"kind": "tokenizer", "file": "tokenizer.json", "max_tokens": encoder.max_tokens, "max_bytes": encoder.max_bytes, "truncation": "end"}
    if encoder.tokenizer.pad_token_id is not None:
        preprocess["pad_id"] = encoder.tokenizer.pad_token_id
    command = "python -m tandem_training.heads " + " ".join(f"--head {one}" for one in arguments.head)
    made = training_table(command, arguments.data or ", ".join(arguments.head))
    return {
        "schema_version": 1, "name": arguments.out.absolute().parent.name, "version": arguments.out.absolute().name, "tier": "deep",
        "description": arguments.description or f"One encoder with the heads {', '.join(head.task for head in heads)}.",
        "license": arguments.license, "stand_in": arguments.stand_in,
        "onnx": {"file": "model.onnx"},
        "preprocess": preprocess,
        "golden": {
            "file": FILE, "source": "pytorch",
            "logit_tolerance": max(LEAST_TOLERANCE, tolerance(alone)),
            "batched_logit_tolerance": max(LEAST_TOLERANCE, tolerance(max(alone, batched))),
        },
        "limits": {"max_batch_size": 32},
        "training": {**made, "data_license": arguments.data_license, "encoder": arguments.encoder.name, "pooling": arguments.pooling},
        "metrics": {"largest_logit_difference_from_pytorch": measured(max(alone, batched))},
        "heads": [
            {
                "task": head.task, "output": head.task, "labels": head.labels, "problem_type": "single_label_classification",
                "calibration": {"temperature": head.temperature},
                "metrics": head.metrics,
            }
            for head in heads
        ],
    }  # fmt: skip


def write(arguments: argparse.Namespace, encoder: Encoder, heads: Sequence[Head], texts: Sequence[str]) -> dict:
    """Writes the folder; gives its manifest."""
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    export(encoder, {head.task: head.linear for head in heads}, out / "model.onnx")
    plain = json.loads(encoder.tokenizer.backend_tokenizer.to_str())
    plain.update(padding=None, truncation=None)
    (out / "tokenizer.json").write_text(json.dumps(plain, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    chosen = texts_of(arguments.texts) if arguments.texts else golden_texts(texts, min(ORDINARY, len(texts)))
    encodings = encoder.encode(chosen)
    wanted = logits_of(encoder, heads, encodings)
    write_jsonl(out / FILE, examples(heads, chosen, encodings, wanted))
    found = check(differences(out / "model.onnx", encoder, heads, encodings, wanted))
    manifest = manifest_of(arguments, encoder, heads, found)
    seal(out, manifest)
    return manifest


def check(found: tuple[float, float]) -> tuple[float, float]:
    """Refuses a graph whose numbers are not PyTorch's."""
    if max(found) > LARGEST_DIFFERENCE:
        raise ValueError(f"the graph's numbers are off from PyTorch's by {found[0]:.3g} alone and {found[1]:.3g} in batches; this encoder can't be exported so")
    return found


def main() -> None:
    arguments = parse()
    try:
        for part in (arguments.out.absolute().parent.name, arguments.out.absolute().name):
            if not NAME.fullmatch(part):
                raise ValueError(f"--out {arguments.out}: {part!r} can't name a model or a version")
        files, orders = pairs(arguments.head, "--head"), pairs(arguments.labels, "--labels")
        encoder = from_folder(arguments.encoder, arguments.max_tokens, arguments.pooling)
        heads, texts = train_heads(encoder, files, orders)
        manifest = write(arguments, encoder, heads, texts)
    except ImportError as error:
        sys.exit(f"{error}: install transformers and torch")
    except (OSError, ValueError) as error:
        sys.exit(f"tandem_training.heads: {error}")
    largest = manifest["metrics"]["largest_logit_difference_from_pytorch"]
    print(f"{arguments.out}: {len(heads)} heads; the graph is within {largest} of PyTorch")


if __name__ == "__main__":
    main()
