"""Trains the deep model; a stopped run goes on from its last checkpoint.

    python -m tandem_training.deep_train --train data/train.tsv --stars data/stars.tsv \\
        --calibration data/calibration.tsv --tokenizer tokenizer.json --out runs/deep

Writes checkpoint.pt (everything needed to go on), model.pt (the averaged weights, for
deep_export) and log.jsonl (the learning curve) into the folder of the run. The rate of
learning is flat and falls in a line over the last part, so --steps may change on the way.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from . import SEED
from .deep_bag import bag_embeddings
from .deep_data import Encoded, batches, in_order, load
from .deep_loss import star_prior
from .deep_model import DeepConfig, DeepModel
from .deep_split import Splitter
from .deep_state import Run
from .deep_step import Batch, Worker, predict
from .deep_wide import with_offset


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="train.tsv of the prepare step")
    parser.add_argument("--stars", type=Path, required=True, help="stars.tsv of the prepare step")
    parser.add_argument("--calibration", type=Path, required=True, help="calibration.tsv, for the learning curve")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json of deep_tokenizer")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--warm-start", type=Path, help="model.pt to begin with, instead of a bag of pieces")
    parser.add_argument("--wide", type=Path, help="wide.npz of deep_wide_train: train on top of the wide part")
    parser.add_argument("--wide-scale", type=float, default=1.1, help="factor of the wide part (default 1.1)")
    parser.add_argument("--label-scale", type=float, default=1.0, help="factor of a warm start's answers, under --wide")
    parser.add_argument("--small-pieces", action="store_true", help="embeddings in 4 bits, in training already")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--inner", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=10_000, help="steps of the whole run (default 10000)")
    parser.add_argument("--fall", type=float, default=0.4, help="part of the steps in which the rate falls")
    parser.add_argument("--warm-up", type=int, default=300, help="steps in which the rate rises (default 300)")
    parser.add_argument("--rate", type=float, default=8e-4, help="learning rate (default 8e-4)")
    parser.add_argument("--pieces-rate", type=float, default=0.3, help="share of that rate for the embeddings")
    parser.add_argument("--decay", type=float, default=0.05, help="weight decay (default 0.05)")
    parser.add_argument("--batch-tokens", type=int, default=2048, help="pieces in a batch (default 2048)")
    parser.add_argument("--batches", type=int, default=3, help="batches in a step (default 3)")
    parser.add_argument("--mask", type=float, default=0.12, help="part of the pieces that is masked")
    parser.add_argument("--split", type=float, default=0.0, help="part of the pieces that is split in two at random")
    parser.add_argument("--guess", type=float, default=0.0, help="weight of the loss of guessing masked pieces")
    parser.add_argument("--dropout", type=float, default=0.0, help="dropout in the encoder (slow on a CPU)")
    parser.add_argument("--average", type=float, default=0.998, help="decay of the averaged weights")
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--save-every", type=int, default=250, help="steps between checkpoints")
    parser.add_argument("--evaluate-every", type=int, default=500, help="steps between points of the curve")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=SEED)
    return parser.parse_args()


def rate_at(step: int, arguments: argparse.Namespace) -> float:
    """Rises, stays, falls to nought."""
    rise = (step + 1) / arguments.warm_up
    fall = (arguments.steps - step) / max(1.0, arguments.fall * arguments.steps)
    return arguments.rate * min(1.0, rise, fall)


def first_model(arguments: argparse.Namespace, data: Encoded, splitter: Splitter) -> DeepModel:
    """The weights that a fresh run begins with."""
    if arguments.warm_start:
        kept = torch.load(arguments.warm_start, weights_only=True)
        kept["config"]["small_pieces"] |= arguments.small_pieces
        model = DeepModel(DeepConfig(**kept["config"]))
        model.load_state_dict(kept["weights"])
        with torch.no_grad():
            model.label.weight *= arguments.label_scale
            model.label.bias *= arguments.label_scale
        return model
    shape = DeepConfig(
        vocabulary=len(splitter.possible), hidden=arguments.hidden, layers=arguments.layers, heads=arguments.heads,
        inner=arguments.inner, positions=arguments.max_tokens, dropout=arguments.dropout,
        guess=arguments.guess > 0, small_pieces=arguments.small_pieces,
    )  # fmt: skip
    model = DeepModel(shape)
    data = splitter.split(data, arguments.split, arguments.max_tokens, np.random.default_rng(arguments.seed))
    weights = bag_embeddings(data, shape.vocabulary, arguments.hidden, passes=1, seed=arguments.seed)
    model.pieces.weight.data.copy_(weights)
    return model


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    data = load(
        arguments.tokenizer, [arguments.train, arguments.stars], arguments.max_tokens, arguments.out / "train.npz"
    )
    check = load(arguments.tokenizer, [arguments.calibration], arguments.max_tokens)
    if arguments.wide:
        data = with_offset(data, arguments.wide, arguments.wide_scale, outside=True)
        check = with_offset(check, arguments.wide, arguments.wide_scale, outside=False)
    numbers = json.loads(arguments.tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
    splitter = Splitter(sorted(numbers, key=numbers.get), arguments.seed)
    run = Run.resume(arguments) if Run.exists(arguments) else Run(first_model(arguments, data, splitter), arguments)
    worker = Worker(run.model)
    prior = star_prior(data)

    bar = tqdm(total=arguments.steps, initial=run.step, desc="training", unit="step", mininterval=10)
    began, pieces, total, rows_seen = time.time(), 0, 0.0, 0
    while run.step < arguments.steps:
        random = np.random.default_rng([arguments.seed, run.turn])
        cut = splitter.split(data, arguments.split, arguments.max_tokens, random) if arguments.split else data
        dealt = batches(cut, arguments.batch_tokens, random)
        while run.position + arguments.batches <= len(dealt) and run.step < arguments.steps:
            chosen = dealt[run.position : run.position + arguments.batches]
            random = np.random.default_rng([arguments.seed, run.turn, run.position])
            share = 1.0 / sum(len(rows) for rows in chosen)
            for rows in chosen:
                batch = Batch.draw(cut, rows, arguments.mask, random)
                total += worker.accumulate(batch, cut, prior, share, arguments.guess)
                pieces += batch.ids.size
                rows_seen += len(rows)
            run.advance(rate_at(run.step, arguments))
            worker.refresh()
            bar.update()
            if run.step % arguments.evaluate_every == 0 or run.step == arguments.steps:
                logits = predict(run.averaged, check, in_order(check, 4096))
                correct = float((logits.argmax(1) == check.label).mean())
                speed = pieces / (time.time() - began)
                run.log(accuracy=round(correct, 5), loss=round(total / rows_seen, 4), pieces_per_second=round(speed))
                bar.set_postfix(accuracy=f"{correct:.4f}")
                began, pieces, total, rows_seen = time.time(), 0, 0.0, 0
            if run.step % arguments.save_every == 0 or run.step == arguments.steps:
                run.save()
        if run.step < arguments.steps:
            run.turn, run.position = run.turn + 1, 0


if __name__ == "__main__":
    main()
