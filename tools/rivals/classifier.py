"""The model behind every rival: a folder of Tandem's or of transformers', by tokenizers and ONNX Runtime.

    python classifier.py FOLDER <texts.txt      # one label a line: what compare.py holds all servers to
"""

import json
import os
import sys
import tomllib
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

# As many texts a run as Tandem gives the model by default.
RUN = 32


def described(folder: Path) -> dict:
    """What a folder says of its model: files, labels, the longest text in tokens, the temperature of its scores."""
    manifest = folder / "manifest.toml"
    if manifest.exists():
        said = tomllib.loads(manifest.read_text())
        return {
            "model": folder / said["onnx"]["file"],
            "tokenizer": folder / said["preprocess"]["file"],
            "labels": said["labels"],
            "max_tokens": said["preprocess"]["max_tokens"],
            "temperature": said.get("calibration", {}).get("temperature", 1.0),
        }
    config = json.loads((folder / "config.json").read_text())
    names = config.get("id2label") or {}
    return {
        "model": sorted(folder.rglob("model*.onnx"))[0],
        "tokenizer": folder / "tokenizer.json",
        "labels": [names[key] for key in sorted(names, key=int)] or ["LABEL_0", "LABEL_1"],
        "max_tokens": config.get("max_position_embeddings", 512),
        "temperature": 1.0,
    }


class Classifier:
    """Texts in, a label and its probability for each out. Calls from several threads at once are fine."""

    def __init__(self, folder: str, threads: int) -> None:
        said = described(Path(folder))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that spin while they wait take the cores from the server and the client beside them.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(said["model"], options, providers=["CPUExecutionProvider"])
        self.inputs = {one.name for one in self.session.get_inputs()}
        self.labels, self.temperature = said["labels"], said["temperature"]
        self.tokenizer = Tokenizer.from_file(str(said["tokenizer"]))
        self.tokenizer.enable_truncation(said["max_tokens"])
        self.tokenizer.enable_padding(pad_id=self.tokenizer.token_to_id("[PAD]") or 0)

    def classify(self, texts: list[str]) -> list[dict]:
        parts = [self.run(texts[start : start + RUN]) for start in range(0, len(texts), RUN)]
        return [answer for part in parts for answer in part]

    def run(self, texts: list[str]) -> list[dict]:
        encoded = self.tokenizer.encode_batch(texts)
        arrays = {
            "input_ids": np.array([one.ids for one in encoded], np.int64),
            "attention_mask": np.array([one.attention_mask for one in encoded], np.int64),
            "token_type_ids": np.array([one.type_ids for one in encoded], np.int64),
        }
        logits = self.session.run(None, {name: arrays[name] for name in self.inputs})[0] / self.temperature
        if logits.shape[1] == 1:
            # One score is a label that a text has or not.
            return [named(self.labels[0], float(1 / (1 + np.exp(-score)))) for score in logits[:, 0]]
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        best = shares.argmax(axis=1)
        return [{"label": self.labels[label], "confidence": float(row[label])} for label, row in zip(best, shares)]


def named(label: str, share: float) -> dict:
    return {"label": label if share >= 0.5 else "", "confidence": max(share, 1 - share)}


def from_environment() -> Classifier:
    """The model that compare.py names, with the threads that it allows."""
    return Classifier(os.environ["MODEL_FOLDER"], int(os.environ["THREADS"]))


if __name__ == "__main__":
    classifier = Classifier(sys.argv[1], 2)
    for text in sys.stdin.read().splitlines():
        print(classifier.run([text])[0]["label"])
