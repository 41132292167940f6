"""The state of a training run: weights, their running average, optimiser, place in the data."""

import argparse
import copy
import json
import os
from pathlib import Path

import torch

from .deep_model import DeepConfig, DeepModel


class Run:
    """Everything that a checkpoint holds, and the step that changes it."""

    def __init__(self, model: DeepModel, arguments: argparse.Namespace):
        self.model = model
        self.averaged = copy.deepcopy(model).requires_grad_(False)
        self.folder: Path = arguments.out
        self.average: float = arguments.average
        self.batches: int = arguments.batches
        self.step, self.turn, self.position = 0, 0, 0
        named = dict(model.named_parameters())
        pieces = named.pop("pieces.weight")
        self.optimiser = torch.optim.AdamW(
            [
                {"params": [value for value in named.values() if value.dim() == 2], "weight_decay": arguments.decay},
                {"params": [value for value in named.values() if value.dim() != 2], "weight_decay": 0.0},
                # Each sight of a rare piece moves it by a full step: a small one, lest it learns that review by heart.
                {"params": [pieces], "weight_decay": 0.0, "share": arguments.pieces_rate},
            ],
            lr=arguments.rate, betas=(0.9, 0.98), eps=1e-6, fused=True,
        )  # fmt: skip

    @staticmethod
    def exists(arguments: argparse.Namespace) -> bool:
        return (arguments.out / "checkpoint.pt").exists()

    @classmethod
    def resume(cls, arguments: argparse.Namespace) -> "Run":
        """Goes on from the folder's checkpoint."""
        kept = torch.load(arguments.out / "checkpoint.pt", weights_only=True)
        run = cls(DeepModel(DeepConfig(**kept["config"])), arguments)
        run.model.load_state_dict(kept["weights"])
        run.averaged.load_state_dict(kept["averaged"])
        run.optimiser.load_state_dict(kept["optimiser"])
        run.step, run.turn, run.position = kept["step"], kept["turn"], kept["position"]
        return run

    def advance(self, rate: float) -> None:
        """One optimiser step on the gradients at hand."""
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group.get("share", 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.step += 1
        self.position += self.batches
        # The average of a young run must not remember its random beginning.
        keep = min(self.average, self.step / (self.step + 10))
        with torch.no_grad():
            mine, theirs = list(self.averaged.parameters()), list(self.model.parameters())
            torch._foreach_lerp_(mine, theirs, 1.0 - keep)

    def save(self) -> None:
        """Writes the checkpoint and the averaged weights; a kill in between loses nothing."""
        config = self.model.config.to_dict()
        _write(self.folder / "model.pt", {"config": config, "weights": self.averaged.state_dict(), "step": self.step})
        _write(
            self.folder / "checkpoint.pt",
            {
                "config": config, "weights": self.model.state_dict(), "averaged": self.averaged.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "step": self.step, "turn": self.turn, "position": self.position,
            },
        )  # fmt: skip

    def log(self, **values: float) -> None:
        """Appends a point to the learning curve."""
        with open(self.folder / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": self.step, "turn": self.turn, **values}) + "\n")


def _write(path: Path, value: dict) -> None:
    part = path.with_suffix(".part")
    torch.save(value, part)
    os.replace(part, path)
