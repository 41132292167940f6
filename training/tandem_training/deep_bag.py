"""A head start for the piece embeddings: a bag-of-pieces model with the same two losses.

It takes half a minute, and the encoder then begins with pieces that already know their tone.
"""

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from .deep_data import Encoded
from .deep_loss import loss_sum, star_prior

ROWS = 2048
SPREAD = 0.05  # standard deviation of the random part, which keeps the rank of the embeddings full


def bag_embeddings(data: Encoded, vocabulary: int, hidden: int, passes: int, seed: int) -> Tensor:
    """Trains the bag and gives its [vocabulary, hidden] embeddings."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    bag = nn.EmbeddingBag(vocabulary, hidden, mode="mean")
    nn.init.normal_(bag.weight, std=SPREAD)
    label, stars = nn.Linear(hidden, 2), nn.Linear(hidden, 10)
    parameters = [*bag.parameters(), *label.parameters(), *stars.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.0, fused=True)
    prior = star_prior(data)
    count = len(data.label)
    bar = tqdm(total=passes * count, desc="bag of pieces", unit="review")
    for _ in range(passes):
        order = random.permutation(count)
        for start in range(0, count, ROWS):
            rows = order[start : start + ROWS]
            ids = np.concatenate([data.ids[data.starts[row] : data.starts[row + 1]] for row in rows])
            offsets = np.concatenate([[0], np.cumsum(data.lengths[rows])[:-1]])
            pooled = bag(torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(offsets))
            loss = loss_sum(label(pooled), stars(pooled), rows, data, prior) / len(rows)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            bar.update(len(rows))
            bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    return bag.weight.detach()
