"""Averages the weights of runs that went separate ways from one checkpoint.

    python -m tandem_training.deep_average --weights runs/one/model.pt runs/two/model.pt --out model.pt

Two processes train better than two threads on a small machine: each takes its own order of
the reviews from a common start, and the mean of the two is better than either.
"""

import argparse
from pathlib import Path

import torch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, nargs="+", required=True, help="model.pt of each run")
    parser.add_argument("--out", type=Path, required=True, help="the model.pt to write")
    arguments = parser.parse_args()

    kept = [torch.load(path, weights_only=True) for path in arguments.weights]
    if any(one["config"] != kept[0]["config"] for one in kept):
        raise ValueError("the runs have different shapes")
    mean = {name: torch.stack([one["weights"][name] for one in kept]).mean(0) for name in kept[0]["weights"]}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"config": kept[0]["config"], "weights": mean}, arguments.out)
    print(f"{arguments.out}: the mean of {len(kept)} runs")


if __name__ == "__main__":
    main()
