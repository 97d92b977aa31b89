"""Compare anomaly maps and detectors with outputs of reference implementations on MVTec AD bottle.

The reference folder holds, for the weights ``resnet18_seed42.pth`` and images resized by LANCZOS to
256×256, scores and maps of IntelLabs/dfm, anomalib and scikit-learn. The features are the project's
own, those of whole images apart.

``fre_maps_resnet18_bottle.npz``
    By layer: map, ``…_score`` and PCA ``rank``: IntelLabs/dfm.
``fre_three_layers_maps_first4.npz``, ``fre_three_layers_scores.csv``
    Three layers combined: maps, ``training_mean`` per layer; mean and maximum of each map.
``avgpool_lanczos256_resnet18_bottle.npz``, ``gaussian_kpca_resnet18_bottle.csv``
    Pooled features; scores on them: scikit-learn.
``padim_resnet18_bottle.npz``, ``patchcore_resnet18_bottle.npz``
    Distances, maps, scores, and all that was drawn: channels, projection, coreset: anomalib.
``kcenter_vector.npz``
    ``points``, the ``indices`` chosen from them, and the ``radius`` after each: anomalib.
``ae_scores_seed0.csv``, ``ae_training.npz``
    Autoencoders: scores after 20 epochs, losses, initial weights: IntelLabs/dfm.
"""

from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

import numpy as np
from items import Item

from defectbench.evaluation.image_metrics import image_auroc
from defectbench.images.index import read_index
from defectbench.scorers.autoencoder import Autoencoder
from defectbench.scorers.coreset import greedy_k_centres
from defectbench.scorers.grids import gaussian_blur, nearest, patch_features
from defectbench.scorers.kernel_pca_fre import KernelPcaFre
from defectbench.scorers.linear_autoencoder import opened_generator
from defectbench.scorers.mahalanobis import Mahalanobis
from defectbench.scorers.padim import Padim
from defectbench.scorers.patchcore import Patchcore
from defectbench.scorers.pca_fre import PcaFre
from defectbench.scorers.pca_gaussian import PcaGaussian
from defectbench.scorers.tied_autoencoder import TiedAutoencoder
from defectbench.storage import open_h5

LAYERS = ("layer1", "layer2", "layer3")


class Features:
    """Features of bottle by split and layer, read when asked for.

    Parameters
    ----------
    results
        ``results/{dataset}/bottle`` of a finished run whose methods read the layers unpooled.
    """

    def __init__(self, results: Path) -> None:
        self._file = results / "features.h5"
        self._splits = np.array([row.split for row in read_index(results / "index.tsv")])

    def __call__(self, split: str, *layers: str) -> np.ndarray | list[np.ndarray]:
        """Features of one layer, or a list of those of several."""
        with open_h5(self._file) as file:
            group = file["lanczos256/resnet18"]
            arrays = [group[f"{layer}/pool1"][self._splits == split] for layer in layers]
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
        yield Item(
            f"FRE {layer}: map, absolute beyond 1e-5 relative", max(float(excess.max()), 0), 1e-3
        )
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
    yield Item(
        "FRE 3 layers: map, absolute beyond 1e-5 relative", max(float(excess.max()), 0), 1e-3
    )
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


def compare_padim(features: Features, golden: Path) -> Iterator[Item]:
    """PaDiM of anomalib, with its channels and its second regularisation of 1e-5."""
    reference = np.load(golden / "padim_resnet18_bottle.npz")
    scorer = Padim(regularisation=0.01 + 1e-5)
    scorer.fit_on_channels(features("train", *LAYERS), reference["channel_indices"])
    X = features("test", *LAYERS)
    distances, scores = scorer.distances(X), scorer.anomaly_score(X)
    maps = scorer.anomaly_map([layer[:2] for layer in X])
    largest, mean = distances.max(axis=(1, 2)), distances.mean(axis=(1, 2))
    auroc = image_auroc(reference["labels"], scores)
    yield Item(
        "PaDiM: distances, relative (recorded in float16)",
        relative(distances[:8], reference["raw_distance_first8"]),
        6e-4,
    )
    yield Item(
        "PaDiM: largest distance, relative", relative(largest, reference["raw_distance_max"]), 2e-5
    )
    yield Item(
        "PaDiM: mean distance, relative", relative(mean, reference["raw_distance_mean"]), 2e-5
    )
    yield Item(
        "PaDiM: map, relative (recorded in float16)",
        relative(maps, reference["final_map_first2"]),
        6e-4,
    )
    yield Item("PaDiM: score, relative", relative(scores, reference["image_scores_float64"]), 2e-5)
    yield Item("PaDiM: image AUROC", abs(auroc - 0.9904762), 5e-8)


def compare_k_centres(_: Features, golden: Path) -> Iterator[Item]:
    """Greedy selection on the recorded points."""
    reference = np.load(golden / "kcenter_vector.npz")
    points, expected = reference["points"], reference["indices"]
    chosen = greedy_k_centres(points.copy(), len(expected), int(expected[0]))
    differ = int((chosen != expected).sum())
    yield Item("k-centre vector: choices that differ", differ, 0)
    radius = [
        np.linalg.norm(points[:, None].astype(np.float64) - points[chosen[:n]], axis=2).min(1).max()
        for n in range(1, len(chosen) + 1)
    ]
    yield Item("k-centre vector: radius, relative", relative(radius, reference["radius"]), 1e-9)


def compare_patchcore(features: Features, golden: Path) -> Iterator[Item]:
    """PatchCore of anomalib, with its projection and first patch, and with its coreset."""
    reference = np.load(golden / "patchcore_resnet18_bottle.npz")
    indices = reference["coreset_indices"]
    train = features("train", "layer2", "layer3")
    patches = patch_features(train, neighbourhood=True).reshape(-1, 384)
    projection = reference["projection_sign"] * reference["projection_scale"]
    chosen = greedy_k_centres(patches @ projection.T, len(indices), int(indices[0]))
    differ = len(set(chosen) - set(indices))
    yield Item("PatchCore: patches of the coreset that differ", differ, 0)
    X = features("test", "layer2", "layer3")
    scores = yield from _compare_memory("coreset", patches[indices], X, reference)
    auroc = image_auroc(reference["labels"], scores)
    yield Item("PatchCore coreset: image AUROC", abs(auroc - 0.8928571), 5e-8)
    # their map was not recorded: it is made from their distances, as their code makes it
    scorer = Patchcore()
    scorer.memory_ = patches[indices]
    maps = scorer.anomaly_map([layer[:8] for layer in X])
    grid = maps.shape[-2:]
    repeated = nearest(reference["coreset_distance_first8"].astype(np.float64), grid)
    theirs = gaussian_blur(repeated, grid[0] / 64)
    yield Item(
        "PatchCore: map, relative (theirs nearest, ours linear)", relative(maps, theirs), None
    )
    # against all patches, ten times as many, a few images tell as much
    yield from _compare_memory("full", patches, [layer[:8] for layer in X], reference)


def _compare_memory(
    name: str, memory: np.ndarray, X: list[np.ndarray], reference: Mapping[str, np.ndarray]
) -> Generator[Item, None, np.ndarray]:
    """Distances and scores by given patches; the references' distances are rounded to float16."""
    scorer = Patchcore()
    scorer.memory_ = memory
    distances, scores = scorer.distances(X), scorer.anomaly_score(X)
    expected = reference[f"{name}_distance_first8"].astype(np.float64)
    excess = np.abs(distances[:8] - expected) - 4.9e-4 * expected
    largest = distances.max(axis=(1, 2))
    item = f"PatchCore {name}: "
    yield Item(item + "distance, absolute beyond float16", max(float(excess.max()), 0), 7e-4)
    theirs = reference[f"{name}_distance_max"][: len(largest)]
    yield Item(item + "largest distance, relative", relative(largest, theirs), 2e-5)
    theirs = reference[f"{name}_scores_float64"][: len(largest)]
    yield Item(item + "score, relative", relative(scores, theirs), 2e-5)
    return scores


def compare_autoencoders(features: Features, golden: Path) -> Iterator[Item]:
    """Both autoencoders of dfm after 20 epochs; after 250 rounding has its way.

    The seed gives the recorded initial weights bit by bit. Training amplifies rounding: features
    that differ by 3e-6, a quarter of what two processors differ by, give scores that differ by
    9e-5 after 20 epochs; hence a strict look at the first five.
    """
    scores = np.genfromtxt(golden / "ae_scores_seed0.csv", delimiter=",", names=True)
    training = np.load(golden / "ae_training.npz")
    train, test = features.pooled("train", "layer3"), features.pooled("test", "layer3")
    for kind, name, key, auroc in (
        (TiedAutoencoder, "tied_ae", "tae", 0.9055556),
        (Autoencoder, "plain_ae", "ae", 0.8817460),
    ):
        scorer = kind(latent=192, epochs=20, seed=0).fit(train)
        found = scorer.anomaly_score(test)
        expected = scores[f"{name}_20_epochs"]
        losses = training[f"{key}_0_epoch_loss"][:20]
        initial = kind.initial_weights(16384, 192, opened_generator(seed=0))[0].numpy()
        rows = training[f"{key}_0_initial_weight_rows0and191"]
        yield Item(f"{name}: initial weights, absolute", absolute(initial[[0, 191]], rows), 0)
        first = relative(scorer.losses_[:5], losses[:5])
        yield Item(f"{name}: loss of epochs 1 to 5, relative", first, 1e-5)
        all_epochs = relative(scorer.losses_, losses)
        yield Item(f"{name}: loss of epochs 1 to 20, relative", all_epochs, 3e-4)
        yield Item(f"{name}: score, relative", relative(found, expected), 3e-4)
        difference = abs(image_auroc(scores["label"].astype(int), found) - auroc)
        # scores that are this near may change places: a pair of images is 1 / 1,260
        yield Item(f"{name}: image AUROC", difference, 1e-3)


COMPARISONS = (
    compare_fre_maps,
    compare_fre_three_layers,
    compare_vector_scorers,
    compare_padim,
    compare_k_centres,
    compare_patchcore,
    compare_autoencoders,
)
