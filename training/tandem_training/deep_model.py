"""The deep model: a BERT encoder with mean and max pooling over the pieces of a text.

Every batch that training makes holds texts of one length, so the mask is optional: without
it the encoder skips the masking, with it padding changes nothing (that is what is exported).
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class DeepConfig:
    """The shape of the network; saved beside its weights."""

    vocabulary: int = 16000
    hidden: int = 256
    layers: int = 4
    heads: int = 4
    inner: int = 1024
    positions: int = 128
    dropout: float = 0.1
    epsilon: float = 1e-12
    small_pieces: bool = False  # embeddings in 4 bits, in training too
    guess: bool = False  # a head that guesses masked pieces, in training only

    def to_dict(self) -> dict:
        return asdict(self)


BLOCK = 32  # values of an embedding that share a scale
LARGEST_STEP = 7


def in_four_bits(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers from -7 to 7 and a scale (a float16 value) for each block of the last axis."""
    blocks = rows.unflatten(-1, (-1, BLOCK))
    scale = (blocks.abs().amax(-1, keepdim=True) / LARGEST_STEP).half().float().clamp(min=1e-4)
    return (blocks / scale).round().clamp(-LARGEST_STEP, LARGEST_STEP), scale


def drop(x: Tensor, rate: float, training: bool) -> Tensor:
    """Dropout of whole channels of a text: one draw for all its pieces, for drawing is slow on a CPU."""
    if not training or rate == 0.0:
        return x
    return x * F.dropout(torch.ones(x.shape[0], 1, x.shape[2], dtype=x.dtype), rate)


class Layer(nn.Module):
    """Self-attention and feed-forward, each with a residual and a norm after it."""

    def __init__(self, config: DeepConfig):
        super().__init__()
        self.heads = config.heads
        self.dropout = config.dropout
        self.qkv = nn.Linear(config.hidden, 3 * config.hidden)
        self.mix = nn.Linear(config.hidden, config.hidden)
        self.norm1 = nn.LayerNorm(config.hidden, eps=config.epsilon)
        self.up = nn.Linear(config.hidden, config.inner)
        self.down = nn.Linear(config.inner, config.hidden)
        self.norm2 = nn.LayerNorm(config.hidden, eps=config.epsilon)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        batch, length, hidden = x.shape
        query, key, value = (
            part.view(batch, length, self.heads, hidden // self.heads).transpose(1, 2)
            for part in self.qkv(x).split(hidden, dim=-1)
        )
        scores = query @ key.transpose(2, 3) * (hidden // self.heads) ** -0.5
        if bias is not None:
            scores = scores + bias
        mixed = scores.softmax(-1) @ value
        mixed = self.mix(mixed.transpose(1, 2).reshape(batch, length, hidden))
        x = self.norm1(x + drop(mixed, self.dropout, self.training))
        inner = self.down(F.gelu(self.up(x)))
        return self.norm2(x + drop(inner, self.dropout, self.training))


class DeepModel(nn.Module):
    """Piece ids to two logits (negative, positive) and, for training, ten star logits."""

    def __init__(self, config: DeepConfig):
        super().__init__()
        self.config = config
        self.pieces = nn.Embedding(config.vocabulary, config.hidden)
        self.positions = nn.Embedding(config.positions, config.hidden)
        self.norm = nn.LayerNorm(config.hidden, eps=config.epsilon)
        self.encoder = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.hidden = nn.Linear(2 * config.hidden, config.hidden)
        self.label = nn.Linear(config.hidden, 2)
        self.stars = nn.Linear(config.hidden, 10)
        if config.guess:
            self.guess = nn.Sequential(
                nn.Linear(config.hidden, config.hidden), nn.GELU(), nn.LayerNorm(config.hidden, eps=config.epsilon)
            )
        self.apply(_initialise)

    def encode(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """A vector for each piece."""
        x = self.pieces(ids)
        if self.config.small_pieces:
            steps, scale = in_four_bits(x.detach())
            # The gradient passes the rounding by.
            x = x + ((steps * scale).flatten(-2) - x).detach()
        x = x + self.positions.weight[: ids.shape[1]]
        x = drop(self.norm(x), self.config.dropout, self.training)
        bias = None
        if mask is not None:
            bias = (1.0 - mask.to(x.dtype))[:, None, None, :] * -10000.0
        # In training the encoder alone may be bfloat16 (see deep_step); otherwise this does nothing.
        x = x.to(self.encoder[0].up.weight.dtype)
        for layer in self.encoder:
            x = layer(x, bias)
        return x.float()

    def pool(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The vector of each text that both heads read: mean and maximum over its pieces."""
        if mask is None:
            mean, most = x.mean(1), x.amax(1)
        else:
            kept = mask.to(x.dtype)[:, :, None]
            mean = (x * kept).sum(1) / kept.sum(1)
            most = (x - (1.0 - kept) * 10000.0).amax(1)
        pooled = F.gelu(self.hidden(torch.cat([mean, most], dim=-1)))
        return F.dropout(pooled, self.config.dropout, self.training)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        return self.label(self.pool(self.encode(input_ids, attention_mask), attention_mask))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
