"""anomalib's own PatchCore on given features: processor seconds and peak memory as JSON.

Run by patchcore.py with the Python of an environment that has anomalib; nothing of this project
is imported. The model's backbone is replaced by one that hands out the features.
"""

import argparse
import json
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import anomalib
import numpy as np
import torch
from anomalib.models.image.patchcore.torch_model import PatchcoreModel

BATCH = 32  # as its configuration has it
IMAGE = (3, 256, 256)


class GivenFeatures(torch.nn.Module):
    """Stands for a backbone: feature maps by layer of the next images."""

    def __init__(self, batches: Iterator[dict[str, torch.Tensor]]) -> None:
        super().__init__()
        self.batches = batches

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return next(self.batches)


def read(folder: Path, split: str) -> tuple[dict[str, torch.Tensor], int]:
    files = sorted(folder.glob(f"{split}_*.npy"))
    layers = {f"layer{k + 2}": torch.from_numpy(np.load(file)) for k, file in enumerate(files)}
    return layers, len(layers["layer2"])


def run_batches(model: PatchcoreModel, layers: dict[str, torch.Tensor], count: int) -> list:
    """What the model says of each batch."""
    starts = range(0, count, BATCH)
    model.feature_extractor = GivenFeatures(
        {name: maps[start : start + BATCH] for name, maps in layers.items()} for start in starts
    )
    sizes = [min(BATCH, count - start) for start in starts]
    return [model(torch.zeros(1, *IMAGE).expand(size, *IMAGE)) for size in sizes]


def fit(folder: Path, choices: int) -> dict:
    """Memory bank and a selection of so many patches from it."""
    layers, count = read(folder, "train")
    model = PatchcoreModel(list(layers), "resnet18", pre_trained=False).train()
    start = time.process_time()
    run_batches(model, layers, count)
    patches = sum(map(len, model.embedding_store))
    model.subsample_embedding((choices + 0.5) / patches)
    assert len(model.memory_bank) == choices
    return {"seconds": time.process_time() - start}


def score(folder: Path) -> dict:
    """Scores and maps of the test images by a given memory."""
    layers, count = read(folder, "test")
    model = PatchcoreModel(list(layers), "resnet18", pre_trained=False).eval()
    model.memory_bank = torch.from_numpy(np.load(folder / "memory.npy"))
    start = time.process_time()
    found = run_batches(model, layers, count)
    milliseconds = 1000 * (time.process_time() - start) / count
    scores = torch.cat([each.pred_score for each in found])
    return {"ms_per_image": milliseconds, "scores": scores.tolist()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fit", type=int, metavar="CHOICES", help="else scores the test images")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    choices, folder = arguments.fit, arguments.folder
    found = fit(folder, choices) if choices else score(folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    versions = f"anomalib {anomalib.__version__}, PyTorch {torch.__version__}"
    print(json.dumps(found | {"peak": peak, "versions": versions}))


if __name__ == "__main__":
    main()
