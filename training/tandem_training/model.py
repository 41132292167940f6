"""A model folder, run as the server runs it: manifest, preprocessing, ONNX Runtime on one thread.

    model = Model("models/sentiment-fast/1")
    logits = model.logits(texts)
    probabilities = softmax(logits, model.temperature)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from tqdm import tqdm

from .features import NGrams
from .manifest import read_manifest


@dataclass(frozen=True)
class Encoding:
    """What preprocessing makes of one text."""

    ids: list[int]
    truncated: bool
    text: str = ""  # what a model with string input is given


class Model:
    """One shipped model."""

    def __init__(self, folder: str | Path, file: str | None = None) -> None:
        """`file` names another ONNX file than the manifest's, such as an fp32 parent."""
        self.folder = Path(folder)
        self.manifest = read_manifest(folder)
        self.labels: list[str] = self.manifest["labels"]
        self.temperature: float = self.manifest["calibration"]["temperature"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = Path(file) if file else self.folder / self.manifest["onnx"]["file"]
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = {part.name for part in self.session.get_inputs()}
        settings = self.manifest["preprocess"]
        kinds = {"hashed_ngrams": _HashedNGrams, "tokenizer": _Tokenizer, "string": _String}
        if settings["kind"] not in kinds:
            raise ValueError(f"{folder}: no preprocessing kind {settings['kind']!r} here")
        self.preprocess = kinds[settings["kind"]](self.folder, {**self.manifest["onnx"], **settings})

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        """Preprocesses texts."""
        return self.preprocess.encode(texts)

    def run(self, encodings: Sequence[Encoding]) -> np.ndarray:
        """Raw logits of one padded batch."""
        feed = self.preprocess.batch(encodings)
        wanted = {name: value for name, value in feed.items() if name in self.inputs}
        output = self.session.run([self.manifest["onnx"]["output"]], wanted)[0]
        if self.manifest["onnx"].get("output_kind") == "probabilities":
            return np.log(np.maximum(output, np.finfo(np.float32).tiny))
        return output

    def logits(self, texts: Sequence[str], batch_size: int = 32, progress: bool = False) -> np.ndarray:
        """Raw logits of many texts, batched with others of like length."""
        encodings = self.encode(texts)
        order = sorted(range(len(texts)), key=lambda index: len(encodings[index].ids or texts[index]))
        result = np.zeros((len(texts), len(self.labels)), dtype=np.float32)
        for start in tqdm(range(0, len(order), batch_size), desc=self.folder.name, disable=not progress):
            rows = order[start : start + batch_size]
            result[rows] = self.run([encodings[row] for row in rows])
        return result


class _HashedNGrams:
    def __init__(self, _folder: Path, settings: dict) -> None:
        self.ngrams = NGrams.of(settings)

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        return [Encoding(*self.ngrams.encode(text)) for text in texts]

    def batch(self, encodings: Sequence[Encoding]) -> dict[str, np.ndarray]:
        rows = [encoding.ids for encoding in encodings]
        ids = _padded(rows, self.ngrams.buckets, np.int32)
        scale = np.array([1 / np.sqrt(len(row)) for row in rows], dtype=np.float32)
        return {"ids": ids, "scale": scale}


class _Tokenizer:
    def __init__(self, folder: Path, settings: dict) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(folder / settings["file"]))
        pad = self.tokenizer.padding or {"pad_id": self.tokenizer.token_to_id("[PAD]") or 0}
        self.pad_id = pad["pad_id"]
        self.tokenizer.no_padding()
        side = {"end": "right", "start": "left"}[settings["truncation"]]
        self.tokenizer.enable_truncation(settings["max_tokens"], direction=side)
        self.max_bytes = settings["max_bytes"]

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        cut = [cut_bytes(text, self.max_bytes) for text in texts]
        found = self.tokenizer.encode_batch(cut)
        return [
            Encoding(encoding.ids, bool(encoding.overflowing) or len(short) < len(text))
            for encoding, short, text in zip(found, cut, texts)
        ]

    def batch(self, encodings: Sequence[Encoding]) -> dict[str, np.ndarray]:
        rows = [encoding.ids for encoding in encodings]
        ids = _padded(rows, self.pad_id, np.int64)
        mask = _padded([[1] * len(row) for row in rows], 0, np.int64)
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


class _String:
    """Raw text in: the graph holds its own preprocessing."""

    def __init__(self, _folder: Path, settings: dict) -> None:
        self.input, self.max_bytes = settings["input"], settings.get("max_bytes", 8192)

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        cut = [cut_bytes(text, self.max_bytes) for text in texts]
        return [Encoding([], len(short) < len(text), short) for short, text in zip(cut, texts)]

    def batch(self, encodings: Sequence[Encoding]) -> dict[str, np.ndarray]:
        return {self.input: np.array([[encoding.text] for encoding in encodings], dtype=object)}


def cut_bytes(text: str, limit: int) -> str:
    """As much of a text as fits the limit in UTF-8; a code point is never split."""
    return text.encode()[:limit].decode(errors="ignore")


def _padded(rows: list[list[int]], value: int, kind: type) -> np.ndarray:
    padded = np.full((len(rows), max(map(len, rows))), value, dtype=kind)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = row
    return padded
