"""What is said of held-out images without a fit for each fold is what such fits say."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from defectbench.evaluation.held_out import folds
from defectbench.scorers import nearest_neighbour, scorer_class
from defectbench.scorers.base import refitted_folds
from defectbench.scorers.layers import Features, number_of_images

RNG = np.random.default_rng(42)


def decaying(n_images: int, *shape: int) -> np.ndarray:
    """Features whose variances decay like a network's, with a mean that is not 0."""
    n_dimensions = int(np.prod(shape))
    scales = 3 / np.sqrt(1 + np.arange(n_dimensions))
    mixed = (RNG.normal(size=(n_images, n_dimensions)) * scales) @ RNG.normal(
        size=(n_dimensions, n_dimensions)
    )
    return (7 + mixed).astype(np.float32).reshape(n_images, *shape)


WIDE, TALL = decaying(40, 120), decaying(150, 30)
MAPS, COARSE = decaying(36, 6, 5, 5), decaying(36, 9, 3, 3)
MANY_MAPS = decaying(90, 3, 4, 4)

CASES = [
    *(
        (name, parameters, X)
        for name, parameters in (
            ("pca_kde", {"components": 5}),
            ("pca_fre", {"variance": 0.9}),
            ("pca_gaussian", {"variance": 0.9}),
            ("nearest_neighbour", {"neighbours": 2}),
            ("mahalanobis", {}),
            ("kernel_pca_fre", {"variance": 0.9}),
        )
        for X in (WIDE, TALL, MAPS)
    ),
    ("pca_fre", {"image_score": "max"}, MAPS),
    ("pca_fre", {"image_score": "max"}, MANY_MAPS),
    ("pca_fre", {"map_size": 7}, [MAPS, COARSE]),
    ("padim", {"channels": 4, "map_size": 8}, [MAPS, COARSE]),
    ("padim", {"channels": 3, "map_size": 8}, MANY_MAPS),
    ("patch_subspace", {"variance": 0.9}, [MAPS, COARSE]),
    ("patchcore", {"map_size": 8}, MAPS),
]


def everything(found: Any, n_images: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Scores and maps of all images, put together from parts."""
    parts = list(found)
    rows = np.concatenate([part.rows for part in parts])
    assert sorted(rows) == list(range(n_images))
    order = np.argsort(rows)
    maps = None if parts[0].maps is None else np.concatenate([part.maps for part in parts])[order]
    return np.concatenate([part.scores for part in parts])[order], maps


@pytest.mark.parametrize("n_folds", [3, 12, 150])  # of fewer images, each by itself
@pytest.mark.parametrize(("name", "parameters", "X"), CASES)
def test_leaving_out_is_a_fit_without_the_fold(
    name: str, parameters: Mapping[str, Any], X: Features, n_folds: int
):
    n_images = number_of_images(X)
    split = folds([""] * n_images, n_folds, seed=42)
    scorer = scorer_class(name)(**parameters).fit(X)
    found = everything(scorer.held_out(X, split, maps=False), n_images)[0]
    refitted = everything(refitted_folds(scorer, X, split, maps=False), n_images)[0]
    np.testing.assert_allclose(found, refitted, rtol=2e-4)
    spread = refitted.std()
    np.testing.assert_allclose(found, refitted, atol=1e-4 * spread, rtol=1e-5)


@pytest.mark.parametrize("n_folds", [3, 12, 36])
@pytest.mark.parametrize(
    ("name", "parameters", "X"),
    [case for case in CASES if scorer_class(case[0]).localizes and np.ndim(case[2][0]) > 2],
)
def test_maps_of_left_out_images_are_those_of_a_fit_without_the_fold(
    name: str, parameters: Mapping[str, Any], X: Features, n_folds: int
):
    n_images = number_of_images(X)
    split = folds([""] * n_images, n_folds, seed=42)
    scorer = scorer_class(name)(**parameters).fit(X)
    scores, maps = everything(scorer.held_out(X, split, maps=True), n_images)
    expected, expected_maps = everything(refitted_folds(scorer, X, split, maps=True), n_images)
    np.testing.assert_allclose(scores, expected, rtol=2e-4)
    np.testing.assert_allclose(maps, expected_maps, rtol=1e-3, atol=1e-4 * expected_maps.std())
    assert maps.dtype == np.float32


def test_maps_come_in_the_order_of_the_folds():
    split = folds([""] * 36, 5, seed=42)
    scorer = scorer_class("pca_fre")().fit(MAPS)
    rows = [part.rows for part in scorer.held_out(MAPS, split, maps=True)]
    np.testing.assert_array_equal(np.concatenate(rows), np.concatenate(split))


@pytest.mark.parametrize(("name", "parameters", "X"), CASES)
def test_folds_need_not_hold_every_image(name: str, parameters: Mapping[str, Any], X: Features):
    n_images = number_of_images(X)
    split = folds([""] * n_images, 5, seed=42)
    scorer = scorer_class(name)(**parameters).fit(X)
    (few,) = scorer.held_out(X, split[2:3], maps=False)
    rows, scores = [], []
    for part in scorer.held_out(X, split, maps=False):
        rows.append(part.rows)
        scores.append(part.scores)
    place = np.argsort(np.concatenate(rows))
    np.testing.assert_allclose(few.scores, np.concatenate(scores)[place][few.rows], rtol=1e-6)
    np.testing.assert_array_equal(few.rows, split[2])


def test_distances_to_neighbours_are_made_once_or_where_they_are_too_many_anew(
    monkeypatch: pytest.MonkeyPatch,
):
    made = []
    distances = nearest_neighbour.squared_distances
    monkeypatch.setattr(
        nearest_neighbour,
        "squared_distances",
        lambda *given: made.append(1) or distances(*given),
    )
    scores, calls = [], []
    for most in (1 << 28, 8 * len(TALL) ** 2 - 1):
        monkeypatch.setattr(nearest_neighbour, "KEPT_BYTES", most)
        scorer, made[:] = scorer_class("nearest_neighbour")().fit(TALL), []
        for n_folds in (5, 20):
            split = folds([""] * len(TALL), n_folds, seed=42)
            scores.append(everything(scorer.held_out(TALL, split, maps=False), len(TALL))[0])
        calls.append(len(made))
    np.testing.assert_allclose(scores[:2], scores[2:], rtol=1e-9)
    assert calls == [1, 2]
