"""Compare a run of this workflow with the outputs of the two reference implementations.

The reference folder holds, for MVTec AD bottle and the weights ``resnet18_seed42.pth``:

``fre_resnet18_bottle.csv``
    path, label, score: IntelLabs/dfm, mode pca.
``dfkde_resnet18_bottle_T2.csv``, ``…_T1.csv``
    path, label, prob_f32, logdensity_lse_f64: anomalib; resized to 256, or then cropped to 224.
``layer3_resnet18_bottle_first8.npz``
    ``features`` of the first eight training images, before PCA.

What else it holds stands in maps.py and detectors.py.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from items import Item, all_within, table

from defectbench.evaluation.image_metrics import confusion_at, image_auroc
from defectbench.evaluation.thresholds import oracle_threshold
from defectbench.images.index import read_index
from defectbench.scorers.pca_kde import anomaly_probability
from defectbench.storage import open_h5, read_arrays, write_text
from detectors import COMPARISONS, Features
from maps import compare_pixel_metrics, compare_stored_maps, compare_vectors

# what the reference implementations printed
FRE_RANK, FRE_AUROC = 192, 0.9555556
DFKDE_FIGURES = {
    "T2": {"image AUROC": 0.6833333, "F1": 0.8630137, "balanced accuracy": 0.5},
    "T1": {"image AUROC": 0.7769841, "F1": 0.8787879, "balanced accuracy": 0.6853175},
}


def read_scores(results: Path, method: str, reference: pd.DataFrame) -> pd.Series:
    """Our anomaly scores, in the order of the reference."""
    file = results / method / "resnet18" / "scores.tsv"
    return pd.read_csv(file, sep="\t").set_index("path")["anomaly_score"].loc[reference["path"]]


def figures(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Published metrics of one set of scores."""
    confusion = confusion_at(labels, scores, oracle_threshold(labels, scores))
    return {
        "image AUROC": image_auroc(labels, scores),
        "F1": confusion.f1,
        "balanced accuracy": confusion.balanced_accuracy,
    }


def compare_dfkde(results: Path, golden: Path, variant: str) -> list[Item]:
    """Log densities, probabilities and published metrics of one preprocessing."""
    name = f"DFKDE {variant}"
    reference = pd.read_csv(golden / f"dfkde_resnet18_bottle_{variant}.csv")
    labels = reference["label"].to_numpy()
    log_density = -read_scores(results, f"dfkde_{variant}", reference).to_numpy()
    ours, theirs = figures(labels, -log_density), DFKDE_FIGURES[variant]
    return [
        Item(
            f"{name}: log density, absolute",
            np.abs(log_density - reference["logdensity_lse_f64"]).max(),
            1e-3,
        ),
        Item(
            f"{name}: probability, absolute",
            np.abs(anomaly_probability(log_density) - reference["prob_f32"]).max(),
            1e-4,
        ),
        *(Item(f"{name}: {key}", abs(ours[key] - theirs[key]), 5e-7) for key in theirs),
    ]


def compare_fre(results: Path, golden: Path) -> list[Item]:
    """Rank, scores, AUROC and the features before PCA."""
    reference = pd.read_csv(golden / "fre_resnet18_bottle.csv")
    labels, theirs = reference["label"].to_numpy(), reference["score"].to_numpy()
    ours = read_scores(results, "fre", reference).to_numpy()
    model, _ = read_arrays(results / "fre" / "resnet18" / "model.h5")
    index = read_index(results / "index.tsv")
    first = [row for row, image in enumerate(index) if image.split == "train"][:8]
    with open_h5(results / "features.h5") as file:
        features = file["lanczos256/resnet18/layer3/pool2"][first].reshape(len(first), -1)
    expected = np.load(golden / "layer3_resnet18_bottle_first8.npz")["features"]
    return [
        Item("FRE: PCA rank", abs(len(model["components_0"]) - FRE_RANK), 0),
        Item("FRE: score, relative", np.abs(ours / theirs - 1).max(), 1e-5),
        Item("FRE: image AUROC", abs(image_auroc(labels, ours) - FRE_AUROC), 5e-8),
        Item(
            "FRE: features, relative to the largest",
            np.abs(features - expected).max() / np.abs(expected).max(),
            1e-5,
        ),
    ]


def main() -> None:
    """Write the largest deviation of each item; fail if one is beyond its tolerance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="results/{dataset}/bottle of a finished run")
    parser.add_argument("golden", type=Path, help="folder of the reference outputs")
    parser.add_argument("category", type=Path, help="the images and masks of bottle")
    parser.add_argument("--output", type=Path, default=Path("reports/parity.md"))
    arguments = parser.parse_args()
    results, golden, features = arguments.results, arguments.golden, Features(arguments.results)
    items = [
        *compare_fre(results, golden),
        *compare_dfkde(results, golden, "T2"),
        *compare_dfkde(results, golden, "T1"),
        *compare_stored_maps(results, golden),
        *compare_vectors(golden),
        *compare_pixel_metrics(golden, arguments.category),
        *(item for compare in COMPARISONS for item in compare(features, golden)),
    ]
    write_text(arguments.output, f"# Parity with the reference implementations\n\n{table(items)}\n")
    print(arguments.output.read_text())
    sys.exit(not all_within(items))


if __name__ == "__main__":
    main()
