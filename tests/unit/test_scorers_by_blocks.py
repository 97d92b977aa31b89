"""Every scorer says of features that it reads from disk by blocks what it says of arrays."""

from collections.abc import Iterator
from inspect import signature
from pathlib import Path

import numpy as np
import pytest

from defectbench.scorers import (
    components,
    layers,
    linear_algebra,
    nearest_neighbour,
    padim,
    rows_on_disk,
    scorer_class,
    scorer_names,
)
from defectbench.scorers.base import Scorer
from defectbench.scorers.layers import Layer, image_blocks
from defectbench.storage import create_array, create_h5, open_h5
from defectbench.stored_layer import StoredLayer

IMAGES = 60
SHAPES = {
    "fewer dimensions than images": [(20,)],
    "more dimensions than images": [(500,)],
    "maps": [(12, 7, 7)],
    "two layers of maps": [(8, 8, 6), (12, 4, 3)],
}
WITHOUT_VECTORS = ("padim", "patch_subspace", "patchcore")
OF_SEVERAL_LAYERS = (*WITHOUT_VECTORS, "pca_fre")


def cases() -> Iterator[tuple[str, str]]:
    """Each scorer with each kind of features that it takes."""
    for name in scorer_names():
        for kind, shapes in SHAPES.items():
            if (len(shapes) == 1 or name in OF_SEVERAL_LAYERS) and (
                len(shapes[0]) == 3 or name not in WITHOUT_VECTORS
            ):
                yield name, kind


def features(kind: str, n_images: int, seed: int) -> list[np.ndarray]:
    """Layers whose channels three causes explain, but for noise, far from the origin."""
    rng = np.random.default_rng(seed)
    made = []
    for channels, *grid in SHAPES[kind]:
        causes = rng.normal(size=(n_images, 3, *grid))
        mixing = np.random.default_rng(7).normal(size=(3, channels))
        noise = rng.normal(size=(n_images, channels, *grid))
        values = np.einsum("nc...,ck->nk...", causes, mixing) + 0.1 * noise + 3
        made.append(values.astype(np.float32))
    return made


def new_scorer(name: str) -> Scorer:
    kind = scorer_class(name)
    # training makes much of rounding: a few epochs show as well that the same images are read
    return kind(epochs=3) if "epochs" in signature(kind).parameters else kind()


def results(scorer: Scorer, train: list[Layer], test: list[Layer]) -> list[np.ndarray]:
    """Scores, and maps where the scorer has them."""
    localizes = scorer.localizes and train[0].ndim == 4
    X, Y = (some if len(some) > 1 else some[0] for some in (train, test))
    scorer.fit(X)
    return list(scorer.score_and_map(Y)) if localizes else [scorer.anomaly_score(Y)]


@pytest.fixture
def seven_images(monkeypatch: pytest.MonkeyPatch):
    """Makes blocks of seven images, and everything else that is done in pieces tiny."""

    def shrink(kind: str) -> None:
        image = sum(4 * int(np.prod(shape)) for shape in SHAPES[kind])
        monkeypatch.setattr(layers, "BLOCK_BYTES", 7 * image)
        monkeypatch.setattr(rows_on_disk, "BLOCK_BYTES", 2 * image)
        monkeypatch.setattr(rows_on_disk, "LARGEST", 0)
        for module in (components, linear_algebra):
            monkeypatch.setattr(module, "SUMS_BYTES", 5 * 8 * image)
            monkeypatch.setattr(module, "BLOCK", 11)
        monkeypatch.setattr(nearest_neighbour, "DISTANCES_BYTES", 100)
        monkeypatch.setattr(padim, "SUMS_BYTES", 1)

    return shrink


@pytest.mark.parametrize(("name", "kind"), list(cases()))
def test_blocks_from_disk_give_the_scores_and_maps_of_arrays(
    name: str, kind: str, seven_images, tmp_path: Path
):
    train, test = features(kind, IMAGES, seed=1), features(kind, 17, seed=2)
    test[0][5] += 2
    expected = results(new_scorer(name), train, test)

    with create_h5(tmp_path / "features.h5", {}) as file:
        for number, arrays in enumerate(zip(train, test, strict=True)):
            whole = np.concatenate(arrays)
            create_array(file, str(number), whole.shape, whole.dtype)[...] = whole
    seven_images(kind)
    with open_h5(tmp_path / "features.h5") as file:
        stored = [StoredLayer(file[str(number)]) for number in range(len(train))]
        own = [layer.take(np.arange(IMAGES)) for layer in stored]
        others = [layer.take(np.arange(IMAGES, IMAGES + 17)) for layer in stored]
        assert [rows.stop for rows, _ in image_blocks(own)] == [*range(7, IMAGES, 7), IMAGES]
        found = results(new_scorer(name), own, others)

    for some, of_arrays in zip(found, expected, strict=True):
        np.testing.assert_allclose(some, of_arrays, rtol=1e-6)
        assert some.dtype == of_arrays.dtype
