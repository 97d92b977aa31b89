"""Compare anomaly maps and detectors with outputs of reference implementations on MVTec AD bottle.

The reference folder holds, for the weights ``resnet18_seed42.pth`` and images resized by LANCZOS to
256×256, scores and maps of IntelLabs/dfm, anomalib and scikit-learn. The features are the project's
own: a folder with float32 arrays ``{train|test}_{layer1|layer2|layer3}.npy``, (images, channels,
height, width), rows in sorted order of path.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tabulate import tabulate

from defectbench.evaluation.image_metrics import image_auroc
from defectbench.scorers.kernel_pca_fre import KernelPcaFre
from defectbench.scorers.mahalanobis import Mahalanobis
from defectbench.scorers.pca_fre import PcaFre
from defectbench.scorers.pca_gaussian import PcaGaussian

LAYERS = ("layer1", "layer2", "layer3")


class Item(NamedTuple):
    """One compared quantity and its largest deviation."""

    name: str
    deviation: float
    tolerance: float


class Features:
    """Features of bottle by split and layer, read when asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, split: str, *layers: str) -> np.ndarray | list[np.ndarray]:
        """Feature maps of one layer, or a list of those of several."""
        arrays = [np.load(self.folder / f"{split}_{layer}.npy") for layer in layers]
        return arrays if len(layers) > 1 else arrays[0]

    def pooled(self, split: str, *layers: str) -> np.ndarray | list[np.ndarray]:
        """Like a call, average-pooled 2×2."""
        arrays = [_pool(self(split, layer)) for layer in layers]
        return arrays if len(layers) > 1 else arrays[0]


def _pool(maps: np.ndarray) -> np.ndarray:
    n_images, channels, height, width = maps.shape
    windows = maps.reshape(n_images, channels, height // 2, 2, width // 2, 2)
    return windows.mean(axis=(3, 5))


def relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest relative deviation."""
    return float(np.abs(ours / theirs.astype(np.float64) - 1).max())


def absolute(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest absolute deviation."""
    return float(np.abs(ours - theirs.astype(np.float64)).max())


def compare_fre_maps(features: Features, golden: Path) -> Iterator[Item]:
    """FRE of each layer alone: rank, score, map; in the map rounding noise is absolute."""
    reference = np.load(golden / "fre_maps_resnet18_bottle.npz")
    for layer, rank in zip(LAYERS, reference["rank"], strict=True):
        scorer = PcaFre(variance=0.97).fit(features.pooled("train", layer))
        X = features.pooled("test", layer)
        maps, scores = scorer.anomaly_map(X), scorer.anomaly_score(X)
        excess = np.abs(maps - reference[layer]) - 1e-5 * reference[layer]
        yield Item(f"FRE {layer}: PCA rank", abs(len(scorer.components_[0]) - int(rank)), 0)
        yield Item(
            f"FRE {layer}: score, relative", relative(scores, reference[f"{layer}_score"]), 2e-6
        )
        yield Item(f"FRE {layer}: map, absolute beyond 1e-5 relative", float(excess.max()), 1e-3)
        yield Item(
            f"FRE {layer}: sum of the map against the score, relative",
            relative(maps.sum(axis=(1, 2), dtype=np.float64), scores),
            1e-6,
        )


def compare_fre_three_layers(features: Features, golden: Path) -> Iterator[Item]:
    """Our combination of three layers, with the recorded means of the training residuals."""
    maps = np.load(golden / "fre_three_layers_maps_first4.npz")
    scores = np.genfromtxt(golden / "fre_three_layers_scores.csv", delimiter=",", names=True)
    scorer = PcaFre(variance=0.97, image_score="max", map_size=256)
    scorer.fit(features.pooled("train", *LAYERS))
    scorer.layer_means_ = maps["training_mean"]
    X = features.pooled("test", *LAYERS)
    ours = scorer.anomaly_map(X)
    largest = scorer.anomaly_score(X)
    excess = np.abs(ours[:4] - maps["mean"]) - 1e-5 * maps["mean"]
    yield Item("FRE 3 layers: map, absolute beyond 1e-5 relative", float(excess.max()), 1e-3)
    yield Item("FRE 3 layers: maximum, relative", relative(largest, scores["mean_max"]), 1e-5)
    mean = ours.mean(axis=(1, 2), dtype=np.float64)
    yield Item("FRE 3 layers: mean, relative", relative(mean, scores["mean_mean"]), 1e-5)
    auroc = image_auroc(scores["label"].astype(int), largest)
    yield Item("FRE 3 layers: image AUROC of the maximum", abs(auroc - 0.9809524), 5e-8)


def compare_vector_scorers(features: Features, golden: Path) -> Iterator[Item]:
    """Scorers of pooled features, each on the recorded features, and these against ours."""
    pooled = np.load(golden / "avgpool_lanczos256_resnet18_bottle.npz")
    file = golden / "gaussian_kpca_resnet18_bottle.csv"
    scores = np.genfromtxt(file, delimiter=",", names=True)
    labels = pooled["test_labels"]
    ours = features("test", "avgpool")
    yield Item("pooled features, absolute", absolute(ours, pooled["test"]), 2e-5)
    for scorer, column, auroc in (
        (PcaGaussian(variance=0.97), "gauss_nll", 0.7920635),
        (Mahalanobis(), "mahalanobis_squared_ledoitwolf", 0.8396825),
        (KernelPcaFre(variance=0.97), "kpca_reconstruction_error", 0.8119048),
    ):
        name = type(scorer).__name__
        found = scorer.fit(pooled["train"]).anomaly_score(pooled["test"])
        yield Item(f"{name}: score, relative", relative(found, scores[column]), 1e-5)
        yield Item(f"{name}: image AUROC", abs(image_auroc(labels, found) - auroc), 5e-8)


COMPARISONS = (compare_fre_maps, compare_fre_three_layers, compare_vector_scorers)


def main() -> None:
    """Print the largest deviation of each item; fail if one is beyond its tolerance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("features", type=Path, help="folder of the project's features")
    parser.add_argument("golden", type=Path, help="folder of the reference outputs")
    parser.add_argument("only", nargs="*", help="comparisons to make, such as compare_fre_maps")
    arguments = parser.parse_args()
    features = Features(arguments.features)
    items = [
        item
        for compare in COMPARISONS
        if not arguments.only or compare.__name__ in arguments.only
        for item in compare(features, arguments.golden)
    ]
    within = [item.deviation <= item.tolerance for item in items]
    rows = [
        [item.name, f"{item.deviation:.1e}", f"{item.tolerance:.0e}", "yes" if good else "NO"]
        for item, good in zip(items, within, strict=True)
    ]
    header = ["item", "largest deviation", "tolerance", "within"]
    print(tabulate(rows, header, "github", disable_numparse=True))
    sys.exit(not all(within))


if __name__ == "__main__":
    main()
