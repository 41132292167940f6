"""The encoder below several heads: what it reads, what it gives for a text, and the graph of all of it.

    encoder = from_folder("models/klue-bert", max_tokens=128)
    pooled = encoder.pooled(["a text", "another"])             # [texts, hidden], float32
    export(encoder, {"sentiment": linear, "topic": linear}, "model.onnx")

An `Encoder` of your own takes any torch module that maps ids and mask to one row a text, and a tokenizer of transformers.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from tqdm import tqdm

from .model import Encoding, cut_bytes

MOST_TOKENS = 512
MAX_BYTES = 8192
OPSET = 17
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# Families whose positions begin after the id of the padding.
AFTER_PADDING = {"roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "mpnet"}


@dataclass(frozen=True)
class Encoder:
    """A frozen encoder and its tokenizer."""

    module: nn.Module  # takes `inputs` in their order, each [texts, tokens], and gives [texts, hidden]
    tokenizer: object  # a fast tokenizer of transformers
    max_tokens: int
    inputs: tuple[str, ...] = INPUTS[:2]
    max_bytes: int = MAX_BYTES

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        """The ids of each text, as transformers makes them of as much of it as the server reads."""
        found = []
        for text in texts:
            kept = cut_bytes(text, self.max_bytes)
            whole = self.tokenizer(kept, verbose=False)["input_ids"]
            ids = self.tokenizer(kept, truncation=True, max_length=self.max_tokens)["input_ids"]
            found.append(Encoding(ids, len(kept) < len(text) or len(whole) > self.max_tokens))
        return found

    def batch(self, encodings: Sequence[Encoding]) -> dict[str, np.ndarray]:
        """The encoder's inputs for one padded batch."""
        width = max(len(encoding.ids) for encoding in encodings)
        ids = np.full((len(encodings), width), self.tokenizer.pad_token_id or 0, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)], mask[row, : len(encoding.ids)] = encoding.ids, 1
        every = dict(zip(INPUTS, (ids, mask, np.zeros_like(ids)), strict=True))
        return {name: every[name] for name in self.inputs}

    @torch.inference_mode()
    def pooled(self, encodings: Sequence[Encoding], batch_size: int = 32, progress: bool = False) -> np.ndarray:
        """What the encoder gives for each text, batched with others of like length."""
        order = sorted(range(len(encodings)), key=lambda at: len(encodings[at].ids))
        rows: list[np.ndarray | None] = [None] * len(encodings)
        for start in tqdm(range(0, len(order), batch_size), desc="encoder", disable=not progress):
            places = order[start : start + batch_size]
            feed = self.batch([encodings[at] for at in places])
            found = self.module(*(torch.from_numpy(value) for value in feed.values()))
            for at, row in zip(places, found.float().numpy(), strict=True):
                rows[at] = row
        return np.stack(rows)


class BeforeClassifier(nn.Module):
    """A sequence classifier of transformers without its last layer: what that layer reads."""

    def __init__(self, model: nn.Module, inputs: Sequence[str]) -> None:
        super().__init__()
        labels = model.config.num_labels
        last = [name for name, part in model.named_modules() if isinstance(part, nn.Linear) and part.out_features == labels]
        if not last:
            raise ValueError(f"{type(model).__name__} has no linear layer with {labels} outputs to take off")
        # The classifier is the last one that is declared; an encoder's own layers come before.
        parent, _, own = last[-1].rpartition(".")
        setattr(model.get_submodule(parent), own, nn.Identity())
        self.model, self.inputs = model, tuple(inputs)

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        return self.model(**dict(zip(self.inputs, values, strict=True))).logits


class MeanOfTokens(nn.Module):
    """The mean of an encoder's last layer over the tokens of a text."""

    def __init__(self, model: nn.Module, inputs: Sequence[str]) -> None:
        super().__init__()
        self.model, self.inputs = model, tuple(inputs)

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        given = dict(zip(self.inputs, values, strict=True))
        hidden = self.model(**given).last_hidden_state
        mask = given["attention_mask"].unsqueeze(2).to(hidden.dtype)
        return (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)


def from_folder(folder: str | Path, max_tokens: int | None = None, pooling: str = "classifier") -> Encoder:
    """The encoder of a folder that transformers wrote; `pooling` is `classifier` or `mean`."""
    import inspect

    from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(f"{folder}: its tokenizer has no tokenizer.json form")
    tokenizer.truncation_side = "right"
    kind, wrap = {"classifier": (AutoModelForSequenceClassification, BeforeClassifier), "mean": (AutoModel, MeanOfTokens)}[pooling]
    # The plain form of attention: the tracer follows no other for every family.
    model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    takes = inspect.signature(model.forward).parameters
    inputs = [name for name in INPUTS if name in takes and name in {*tokenizer.model_input_names, *INPUTS[:2]}]
    module = wrap(model, inputs).eval().requires_grad_(False)
    reads = _reads(tokenizer, model.config)
    if max_tokens is not None and not 3 <= max_tokens <= reads:
        raise ValueError(f"{folder}: --max-tokens must be from 3 to {reads}, which the encoder reads")
    return Encoder(module, tokenizer, max_tokens or min(reads, MOST_TOKENS), tuple(inputs))


def _reads(tokenizer: object, config: object) -> int:
    """The most tokens that the encoder has positions for."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions and config.model_type in AFTER_PADDING:
        positions -= (config.pad_token_id or 0) + 1
    return min(tokenizer.model_max_length, positions or tokenizer.model_max_length)


class _WithHeads(nn.Module):
    def __init__(self, encoder: nn.Module, heads: Mapping[str, nn.Linear]) -> None:
        super().__init__()
        self.encoder, self.heads = encoder, nn.ModuleList(heads.values())

    def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        pooled = self.encoder(*values)
        return tuple(head(pooled) for head in self.heads)


def export(encoder: Encoder, heads: Mapping[str, nn.Linear], path: str | Path) -> None:
    """Writes one graph with an output for each head, named as the head is."""
    # Two texts of unlike length: the trace holds the padding's way too.
    words = [encoder.tokenizer.unk_token or "a"] * min(8, encoder.max_tokens - 2)
    feed = encoder.batch(encoder.encode([" ".join(words), words[0]]))
    axes = {name: {0: "batch", 1: "sequence"} for name in encoder.inputs} | {name: {0: "batch"} for name in heads}
    with warnings.catch_warnings():
        # What the tracer warns of would show in the comparison with PyTorch.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _WithHeads(encoder.module, heads).eval(),
            tuple(torch.from_numpy(value) for value in feed.values()),
            str(path),
            input_names=list(encoder.inputs),
            output_names=list(heads),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    onnx.checker.check_model(str(path), full_check=True)
