"""Compare anomaly maps and pixel metrics with outputs of the reference implementations.

The reference folder holds, for MVTec AD bottle and the weights ``resnet18_seed42.pth``:

``fre_maps_resnet18_bottle.npz``
    paths, and the FRE maps of layer1, layer2 and layer3: IntelLabs/dfm.
``fre_three_layers_maps_first4.npz``
    ``mean``: those three combined, of the first four images, with ``training_mean`` per layer.
``aupro_vectors.npz``
    Small maps and masks, with curves and AUPRO by MVTec AD's evaluation code.
``values-maps-and-detectors.json``
    Pixel metrics of the maps.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from items import Item

from defectbench.evaluation.pixel_metrics import (
    pixel_metrics,
    pro_curve,
)
from defectbench.evaluation.pixel_ranks import PixelScores, collect_pixels, rank_pixels
from defectbench.images.index import read_index
from defectbench.images.mask_pixels import read_mask
from defectbench.scorers.grids import bilinear
from defectbench.storage import read_arrays, read_json

SIDE = 900
METHODS = {"layer1": "fre_layer1", "layer2": "fre_layer2", "layer3": "fre"}
CHANNELS = {"layer1": 64, "layer2": 128, "layer3": 256}
METRICS = ("pixel_auroc", "aupro_0.3", "aupro_0.05")
TOLERANCE = 1e-6  # the official code keeps false-positive rates in float32


def compare_vectors(golden: Path) -> list[Item]:
    """Ties, diagonal regions, single pixels, images without defects; each alone and all as one."""
    vectors = np.load(golden / "aupro_vectors.npz")
    deviations: dict[str, list[float]] = {"curve": [], "official": [], "exact": [], "auroc": []}
    refused = True
    for dtype in ("float64", "float32"):
        images = {
            name: (vectors[f"map/{name}"].astype(dtype), vectors[f"mask/{name}"] > 0)
            for name in vectors["names"]
        }
        sets = {name: [image] for name, image in images.items()}
        for name, members in {**sets, "joint": list(images.values())}.items():
            ranked = rank_pixels(collect_pixels(members))
            if name == "good":
                refused = refused and ranked is None
                continue
            expected = {
                key: vectors[f"{name}/{dtype}/{key}"]
                for key in ("pro_at_fpr", "aupro", "aupro_exact", "pixel_auroc")
            }
            auroc, _, *aupro = pixel_metrics(ranked, vectors["limits"]).values()
            curve = pro_curve(ranked, vectors["fpr_points"])
            deviations["curve"].append(np.abs(curve - expected["pro_at_fpr"]).max())
            deviations["official"].append(np.abs(aupro - expected["aupro"]).max())
            deviations["exact"].append(np.abs(aupro - expected["aupro_exact"]).max())
            deviations["auroc"].append(abs(auroc - expected["pixel_auroc"]))
    return [
        Item("AUPRO vectors: official AUPRO", max(deviations["official"]), TOLERANCE),
        Item("AUPRO vectors: independent AUPRO", max(deviations["exact"]), 1e-12),
        Item("AUPRO vectors: overlap on the curve", max(deviations["curve"]), TOLERANCE),
        Item("AUPRO vectors: pixel AUROC", max(deviations["auroc"]), 1e-12),
        Item("AUPRO vectors: no figure without a defect", float(not refused), 0),
    ]


def compare_pixel_metrics(golden: Path, category: Path) -> list[Item]:
    """Pixel AUROC and AUPRO of the recorded maps, at both resolutions and per defect type."""
    recorded = np.load(golden / "fre_maps_resnet18_bottle.npz")
    values = read_json(golden / "values-maps-and-detectors.json")
    expected = values["pixel_metrics"]
    defects = np.array([PurePosixPath(path).parent.name for path in recorded["paths"]])
    masks = read_masks(category, recorded["paths"])
    items = []
    for layer in CHANNELS:
        pixels = collect(recorded[layer], masks, SIDE)
        items.append(deviation(f"pixel metrics, {layer}", pixels, expected[f"{layer}_all"]))
        if layer == "layer3":
            for defect in sorted(set(defects) - {"good"}):
                for name, compared in (
                    ("with_good", (defects == defect) | (defects == "good")),
                    ("alone", defects == defect),
                ):
                    own = pixels.of_images(np.flatnonzero(compared))
                    figures = expected[f"{layer}_{defect}_{name}"]
                    words = name.replace("_", " ")
                    items.append(
                        deviation(f"pixel metrics, {layer}, {defect} {words}", own, figures)
                    )
    small = collect(recorded["layer3"], read_masks(category, recorded["paths"], 256), 256)
    published = {"pixel_auroc": expected["layer3_a"]["pixel_auroc_plain_bilinear"]}
    items.append(deviation("pixel AUROC, layer3, at 256×256", small, published))
    return items + compare_three_layers(golden, recorded, masks, values["three_layers"]["mean"])


def compare_three_layers(
    golden: Path, recorded: Mapping, masks: list[np.ndarray | None], expected: dict
) -> list[Item]:
    """The recorded maps combined with the recorded normalisers: our upsampling and metrics."""
    reference = np.load(golden / "fre_three_layers_maps_first4.npz")
    combined = np.mean(
        [
            bilinear(recorded[layer] / np.float32(channels), (256, 256)) / mean
            for (layer, channels), mean in zip(
                CHANNELS.items(), reference["training_mean"], strict=True
            )
        ],
        axis=0,
    ).astype(np.float32)
    first = reference["mean"]
    error = np.abs(combined[: len(first)] - first) / (1e-3 + np.abs(first))
    figures = {"pixel_auroc": expected["pixel_auroc_b"]} | {
        name: expected[name] for name in METRICS[1:]
    }
    return [
        Item("three layers combined: maps, relative", error.max(), 1e-5),
        deviation("pixel metrics, three layers", collect(combined, masks, SIDE), figures),
    ]


def compare_stored_maps(results: Path, golden: Path) -> list[Item]:
    """Our maps of each layer, with an absolute tolerance: saturated corners hold rounding alone.

    The deviation is in units of what is allowed, 1e-3 absolute plus 1e-5 relative.
    """
    recorded = np.load(golden / "fre_maps_resnet18_bottle.npz")
    paths = [row.path for row in read_index(results / "index.tsv") if row.split == "test"]
    rows = [paths.index(path) for path in recorded["paths"]]
    items = []
    for layer, method in METHODS.items():
        arrays, _ = read_arrays(results / method / "resnet18" / "maps.h5")
        expected = recorded[layer]
        allowed = 1e-3 + 1e-5 * np.abs(expected)
        error = np.abs(arrays["test"][rows] - expected) / allowed
        items.append(Item(f"FRE: maps of {layer}, of 0.001 + 0.00001 relative", error.max(), 1))
    return items


def read_masks(
    category: Path, paths: Iterable[str], side: int | None = None
) -> list[np.ndarray | None]:
    """Mask of each test image; None for the good ones."""
    masks: list[np.ndarray | None] = []
    for path in map(PurePosixPath, paths):
        file = category / "ground_truth" / path.parent.name / f"{path.stem}_mask.png"
        is_good = path.parent.name == "good"
        masks.append(None if is_good else read_mask(file, SIDE, SIDE, side))
    return masks


def collect(maps: np.ndarray, masks: list[np.ndarray | None], side: int) -> PixelScores:
    """Pixels of maps at a common size."""
    return collect_pixels(
        (bilinear(anomaly_map, (side, side)), mask)
        for anomaly_map, mask in zip(maps, masks, strict=True)
    )


def deviation(name: str, pixels: PixelScores, expected: dict) -> Item:
    """Largest deviation from those of the metrics that were recorded."""
    ours = pixel_metrics(rank_pixels(pixels))
    differences = [abs(ours[key] - expected[key]) for key in METRICS if key in expected]
    return Item(name, max(differences), TOLERANCE)
