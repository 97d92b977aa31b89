"""What is benchmarked: generated images, seeded random weights, configs."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

# in a process of its own: the peak memory of a process counts that of the one that started it
MAKE_WEIGHTS = (
    "import sys, torch; from torchvision.models import get_model; torch.manual_seed(42); "
    "torch.save(get_model(sys.argv[1], weights=None).state_dict(), sys.argv[2])"
)
LAYERS = {"efficientnet_b5": ("features.6", 456)}
LAYER_OF_RESNETS = ("layer3", 256)
PREPROCESSINGS = {
    "bilinear256": {"interpolation": "bilinear", "size": 256},
    "lanczos256": {"interpolation": "lanczos", "size": 256},
    "lanczos456": {"interpolation": "lanczos", "size": 456},
}


def make_category(
    folder: Path, train: int, good: int, defective: int, side: int, mode: str
) -> Path:
    """PNGs of a ring of uneven brightness in noise, and of one with a bright patch.

    Parameters
    ----------
    folder
        Receives the MVTec layout.
    train, good, defective
        Number of images.
    side
        Pixels.
    mode
        ``RGB`` or ``L``.
    """
    rng = np.random.default_rng(42)
    rows, columns = np.mgrid[:side, :side] / side
    ring = np.exp(-(((rows - 0.5) ** 2 + (columns - 0.5) ** 2 - 0.1) ** 2) * 400)
    counts = (("train", "good", train), ("test", "good", good), ("test", "defective", defective))
    for split, defect, count in counts:
        target = folder / split / defect
        target.mkdir(parents=True)
        for number in range(count):
            colour = rng.uniform(120, 200, 3)
            pixels = ring[..., None] * colour + rng.normal(0, 3, (side, side, 3))
            if defect != "good":
                y, x = rng.integers(side // 4, side // 2, 2)
                pixels[y : y + side // 10, x : x + side // 15] += 60
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.convert(mode).save(target / f"{number:03}.png", compress_level=6)
    return folder


def make_weights(folder: Path, backbones: Iterable[str]) -> dict[str, Path]:
    """File of seeded random weights of each backbone."""
    files = {backbone: folder / f"{backbone}.pth" for backbone in backbones}
    for backbone, file in files.items():
        if not file.exists():
            subprocess.run([sys.executable, "-c", MAKE_WEIGHTS, backbone, str(file)], check=True)
    return files


def fre(backbones: list[str], **changes: Any) -> dict[str, Any]:
    """FRE as published, on backbones that have the same layer."""
    layer, side = LAYERS.get(backbones[0], LAYER_OF_RESNETS)
    method = {"scorer": "pca_fre", "variance": 0.97, "layer": layer, "pool": 2}
    return method | {"preprocessing": f"lanczos{side}", "backbones": backbones} | changes


def dfkde(backbones: list[str]) -> dict[str, Any]:
    """DFKDE as published, on ResNets."""
    method = {"scorer": "pca_kde", "components": 16, "layer": "avgpool"}
    return method | {"preprocessing": "bilinear256", "backbones": backbones}


def image_config(
    categories: Path,
    weights: Mapping[str, Path],
    methods: Mapping[str, Mapping[str, Any]],
    device: str = "cpu",
    precision: str = "fp32",
) -> dict[str, Any]:
    """Config of methods on all categories of a folder of images."""
    config = _config({"source": "folder", "path": str(categories)}, methods)
    config |= {"device": device, "precision": precision}
    return config | {"backbones": {name: {"weights": str(file)} for name, file in weights.items()}}


def given_features(folder: Path, categories: int, methods: int) -> dict[str, Any]:
    """Config of methods on small features that are given, which are written first."""
    rng = np.random.default_rng(42)
    y, split = np.repeat([0, 1], [80, 40]), np.repeat(["train", "test"], [60, 60])
    for number in range(categories):
        X = rng.normal(size=(120, 64)) + y[:, None]
        np.savez(folder / f"category{number:02}.npz", X=X, y=y, split=split)
    given = {"layer": "-", "preprocessing": "lanczos256", "backbones": ["resnet18"]}
    scorers = ({"scorer": "pca_kde", "components": 16}, {"scorer": "pca_fre"})
    named = {f"method{number}": {**scorers[number % 2], **given} for number in range(methods)}
    return _config({"source": "features", "path": str(folder)}, named)


def _config(source: Mapping[str, str], methods: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "seed": 42,
        "device": "cpu",
        "precision": "fp32",
        "threshold": {"false_positive_rate": 0.05, "folds": 5},
        "categories": "all",
        "datasets": {"bench": {**source, "methods": list(methods)}},
        "preprocessings": PREPROCESSINGS,
        "methods": {name: dict(method) for name, method in methods.items()},
        "backbones": {},
    }
