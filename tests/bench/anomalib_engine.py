"""One fit and test by anomalib's Engine; its image AUROC and versions as JSON.

Run by engine.py with the Python of an environment that has anomalib; nothing of this project is
imported. What is not named here is anomalib's default: images of 256×256 in batches of 32, a
checkpoint, and a fit that also scores the test images for a threshold, as validation images.
"""

import argparse
import json
import os
import warnings
from pathlib import Path

import anomalib
import torch
from anomalib.data import MVTecAD
from anomalib.engine import Engine
from anomalib.models import AnomalibModule, Padim, Patchcore
from lightning.pytorch import seed_everything

SEED = 42


def make_model(method: str, layers: list[str], coreset: float, channels: int) -> AnomalibModule:
    """A detector on a ResNet-18 with random weights, which draws no pictures."""
    shared = {"backbone": "resnet18", "layers": layers, "pre_trained": False, "visualizer": False}
    if method == "patchcore":
        return Patchcore(coreset_sampling_ratio=coreset, **shared)
    return Padim(n_features=channels, **shared)


def load_weights(model: AnomalibModule, weights: Path) -> None:
    """Give its network torchvision's parameters, of which it lacks the last layers alone."""
    network = model.model.feature_extractor.feature_extractor
    state = torch.load(weights, weights_only=True)
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert not missing, missing
    assert all(name.startswith(("layer4.", "fc.")) for name in unexpected), unexpected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("category", type=Path, help="in the MVTec layout")
    parser.add_argument("weights", type=Path, help="state dict of torchvision's resnet18")
    parser.add_argument("--method", choices=("patchcore", "padim"), required=True)
    parser.add_argument("--layers", nargs="+", required=True)
    parser.add_argument("--coreset", type=float, required=True)
    parser.add_argument("--channels", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    seed_everything(SEED)
    model = make_model(arguments.method, arguments.layers, arguments.coreset, arguments.channels)
    load_weights(model, arguments.weights)
    category = arguments.category
    # its default of eight workers would only wait for so few cores
    images = MVTecAD(root=category.parent, category=category.name, num_workers=cores)
    engine = Engine(accelerator="cpu", default_root_dir=arguments.output.parent / "anomalib")
    engine.fit(model=model, datamodule=images)
    (found,) = engine.test(model=model, datamodule=images)
    versions = f"anomalib {anomalib.__version__}, PyTorch {torch.__version__}"
    result = {"auroc": found["image_AUROC"], "versions": versions}
    arguments.output.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
