"""Golden examples from transformers: its own tokenizer's ids, and the logits of the model in PyTorch.

Each text runs alone and in full precision, so nothing is padded and nothing depends on other texts.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .calibration import softmax

if TYPE_CHECKING:
    from .golden_settings import Settings


def examples(name: str, settings: "Settings", texts: Sequence[str]) -> list[dict]:
    """One example a text; texts that the model would refuse as too long are left out."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    if settings.preprocess["kind"] != "tokenizer":
        raise ValueError(f"preprocess.kind is {settings.preprocess['kind']!r}, and transformers reads ids of a tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = AutoModelForSequenceClassification.from_pretrained(name, dtype=torch.float32).eval()
    labels = [model.config.id2label[index] for index in range(model.config.num_labels)]
    if labels != settings.labels:
        print(f"the model calls its labels {labels}, the manifest {settings.labels}: the order is taken to be the same")
    if len(labels) != len(settings.labels):
        raise ValueError(f"the model has {len(labels)} labels, the manifest {len(settings.labels)}")
    truncation = settings.preprocess.get("truncation", "end")
    tokenizer.truncation_side = "left" if truncation == "start" else "right"
    limit = settings.preprocess["max_tokens"]
    rows = []
    for text in texts:
        kept = settings.cut(text)
        whole = tokenizer(kept, verbose=False)["input_ids"]
        truncated = len(kept) < len(text) or len(whole) > limit
        if truncated and truncation == "reject":
            continue
        encoded = tokenizer(kept, truncation=True, max_length=limit, return_tensors="pt")
        with torch.no_grad():
            logits = model(**encoded).logits[0].double().numpy()
        rows.append(
            {
                "text": text,
                "ids": encoded["input_ids"][0].tolist(),
                "truncated": truncated,
                "logits": _rounded(logits),
                "probabilities": _rounded(_probabilities(logits, settings)),
            }
        )
    return rows


def _probabilities(logits: np.ndarray, settings: "Settings") -> np.ndarray:
    """As the server answers: softmax, a sigmoid for each label, or the value itself."""
    if settings.problem == "regression":
        return logits
    if settings.problem == "multi_label_classification":
        return 1 / (1 + np.exp(-logits / settings.temperature))
    return softmax(logits[None], settings.temperature)[0]


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 6) for value in values]
