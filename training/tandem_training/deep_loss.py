"""The supervisions: the class (negative or positive), the stars (1 to 10), the masked pieces.

In the star reviews a positive is far more frequent than in the balanced task. Their class
logits get the log of that ratio added before the loss, so that the network's own logits
stay those of the balanced task (logit adjustment) and no review has to be thrown away.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .deep_data import NONE, Encoded
from .deep_model import DeepModel

STAR_WEIGHT = 0.5


def star_prior(data: Encoded) -> float:
    """Log ratio of positives to negatives among the star reviews (0 where there are none)."""
    of_stars = data.label[data.stars != NONE]
    positive, negative = int((of_stars == 1).sum()), int((of_stars == 0).sum())
    return math.log(positive / negative) if positive and negative else 0.0


def loss_sum(label_logits: Tensor, star_logits: Tensor, rows: np.ndarray, data: Encoded, prior: float) -> Tensor:
    """Summed over the rows: the caller divides by the number of rows of its whole step."""
    label = torch.from_numpy(data.label[rows])
    stars = torch.from_numpy(data.stars[rows])
    shift = torch.where(stars == NONE, 0.0, prior) + torch.from_numpy(data.offset[rows])
    adjusted = torch.stack([label_logits[:, 0], label_logits[:, 1] + shift], dim=1)
    loss = F.cross_entropy(adjusted, label, ignore_index=NONE, reduction="sum")
    # Stars count from 1; NONE becomes NONE - 1 and is ignored too.
    return loss + STAR_WEIGHT * F.cross_entropy(star_logits, stars - 1, ignore_index=NONE - 1, reduction="sum")


def guess_loss(model: DeepModel, x: Tensor, ids: Tensor, hidden: Tensor, others: Tensor) -> Tensor:
    """Mean loss of guessing the masked pieces among those of the batch and `others`.

    A softmax over the whole vocabulary would cost more than the encoder; one over some
    thousand pieces, drawn as often as they occur, teaches nearly as much.
    """
    targets = ids[hidden]
    candidates, positions = torch.cat([targets, others]).unique(return_inverse=True)
    logits = model.guess(x[hidden]) @ model.pieces.weight[candidates].T
    return F.cross_entropy(logits, positions[: len(targets)])
