"""One training step: bfloat16 in the encoder, float32 everywhere that sums are long.

The master weights are float32. A worker holds a bfloat16 copy of the encoder (the matrix
units of recent processors are several times faster at it) and shares everything else.
"""

import copy
from typing import NamedTuple

import numpy as np
import torch

from .deep_data import Encoded, gather
from .deep_loss import guess_loss, loss_sum
from .deep_model import DeepModel

FIRST_ORDINARY = 5  # the ids below are [PAD] [UNK] [CLS] [SEP] [MASK]
MASK = 4
OTHERS = 1500


class Worker:
    """Computes gradients into the master's parameters."""

    def __init__(self, master: DeepModel):
        self.master = master
        self.model = copy.deepcopy(master)
        self.model.encoder.to(torch.bfloat16)
        for name, parameter in master.named_parameters():
            if not name.startswith("encoder."):
                owner, _, leaf = name.rpartition(".")
                setattr(self.model.get_submodule(owner), leaf, parameter)
        self.pairs = list(zip(self.model.encoder.parameters(), master.encoder.parameters(), strict=True))

    @torch.no_grad()
    def refresh(self) -> None:
        """Copies the master's encoder after an optimiser step."""
        for mine, theirs in self.pairs:
            mine.copy_(theirs)

    def accumulate(self, batch: "Batch", data: Encoded, prior: float, share: float, guess: float) -> float:
        """Adds one batch's gradients; returns its summed loss. `share` is one over the step's rows."""
        x = self.model.encode(torch.from_numpy(np.where(batch.hidden, MASK, batch.ids)))
        pooled = self.model.pool(x)
        loss = loss_sum(self.model.label(pooled), self.model.stars(pooled), batch.rows, data, prior)
        whole = loss
        if guess and batch.hidden.any():
            ids, hidden, others = (torch.from_numpy(part) for part in (batch.ids, batch.hidden, batch.others))
            whole = loss + guess * len(batch.rows) * guess_loss(self.model, x, ids, hidden, others)
        (whole * share).backward()
        for mine, theirs in self.pairs:
            if theirs.grad is None:
                theirs.grad = mine.grad.float()
            else:
                theirs.grad += mine.grad
            mine.grad = None
        return loss.item()


class Batch(NamedTuple):
    """Reviews of one length, some of whose ordinary pieces are hidden: no single word may decide."""

    rows: np.ndarray
    ids: np.ndarray
    hidden: np.ndarray
    others: np.ndarray  # pieces to tell the hidden ones from

    @classmethod
    def draw(cls, data: Encoded, rows: np.ndarray, rate: float, random: np.random.Generator) -> "Batch":
        ids = gather(data, rows)
        hidden = (random.random(ids.shape) < rate) & (ids >= FIRST_ORDINARY)
        others = data.ids[random.integers(0, len(data.ids), OTHERS)].astype(np.int64)
        return cls(rows, ids, hidden, others)


@torch.inference_mode()
def predict(model: DeepModel, data: Encoded, batches) -> np.ndarray:
    """The logits of all reviews, [reviews, 2], in their own order, the wide part's included."""
    model.eval()
    logits = np.zeros((len(data.label), 2), dtype=np.float32)
    for rows in batches:
        logits[rows] = model(torch.from_numpy(gather(data, rows))).float().numpy()
    model.train()
    half = data.offset[:, None] / 2
    return logits + np.concatenate([-half, half], axis=1)
