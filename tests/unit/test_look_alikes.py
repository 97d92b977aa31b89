"""Clusters of images that are far more alike than the others; independent images have none."""

import numpy as np
import pytest
from tiles import tile_features

from defectbench.evaluation import look_alikes as module
from defectbench.evaluation.look_alikes import FEWEST_IMAGES, look_alikes, nearest
from defectbench.scorers import layers


def clusters_of(X: np.ndarray) -> list[list[int]]:
    return [rows.tolist() for rows in look_alikes(X)]


def shuffled(seed: int, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows in another order, and where each of them went."""
    order = np.random.default_rng(seed).permutation(len(X))
    return X[order], np.argsort(order)


@pytest.mark.parametrize("exposures", [2, 3, 6])
def test_exposures_of_one_tile_are_a_cluster_in_any_order(exposures: int):
    X, _ = tile_features(1, tiles=60 // exposures, exposures=exposures, exposure_noise=0.05)
    X, places = shuffled(2, X)
    expected = [sorted(own.tolist()) for own in places.reshape(-1, exposures)]
    assert sorted(clusters_of(X)) == sorted(expected)


def test_a_few_copies_among_many_images_are_found_and_no_other_image():
    X, _ = tile_features(1, tiles=60, exposures=1)
    noise = np.random.default_rng(3).normal(0, 0.05, (4, X.shape[1]))
    X = np.concatenate([X, X[:4] + noise]).astype(np.float32)
    assert sorted(clusters_of(X)) == [[row, 60 + row] for row in range(4)]


def test_copies_without_any_difference_are_found():
    X, _ = tile_features(1, tiles=30, exposures=1)
    assert sorted(clusters_of(np.concatenate([X, X]))) == [[row, 30 + row] for row in range(30)]


@pytest.mark.parametrize("count", [FEWEST_IMAGES, 40, 200])
@pytest.mark.parametrize("dimensions", [1, 3, 60])
def test_an_even_spread_hardly_ever_has_some(count: int, dimensions: int):
    # the rate of false alarms over many more spreads and sets: make bench-groups
    rng = np.random.default_rng([count, dimensions])
    assert sum(bool(clusters_of(rng.uniform(size=(count, dimensions)))) for _ in range(20)) <= 1


def test_images_that_spread_wider_than_others_are_no_cluster():
    X = np.random.default_rng(0).standard_t(3, size=(100, 50))
    assert clusters_of(X * np.geomspace(1, 30, 100)[:, None]) == []


def test_few_kinds_of_parts_are_no_clusters():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 30)) + 20 * np.eye(3, 30)[rng.integers(0, 3, 120)]
    assert clusters_of(X) == []


def test_one_cluster_alone_may_be_a_rare_kind_of_part():
    X, _ = tile_features(1, tiles=60, exposures=1)
    rare = X[:1] + np.random.default_rng(3).normal(0, 0.1, (6, X.shape[1]))
    assert clusters_of(np.concatenate([X, rare])) == []


def test_of_few_images_and_of_equal_ones_nothing_is_said():
    X, _ = tile_features(1, tiles=(FEWEST_IMAGES - 1) // 2, exposures=2)
    assert clusters_of(X) == []
    assert clusters_of(np.ones((50, 8))) == []


def test_of_many_images_some_are_looked_at(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "ANCHORS", 20)
    X, _ = tile_features(1, tiles=40, exposures=3)
    found = clusters_of(X)
    assert len(found) == 20
    assert all(own == list(range(own[0], own[0] + 3)) and own[0] % 3 == 0 for own in found)


@pytest.mark.parametrize(("block", "block_bytes"), [(1024, 1 << 27), (7, 1000), (1, 1)])
def test_neighbours_are_the_same_however_the_features_are_read(
    block: int, block_bytes: int, monkeypatch: pytest.MonkeyPatch
):
    X = np.random.default_rng(2).normal(3, 1, (50, 4, 3, 2)).astype(np.float32)
    monkeypatch.setattr(module, "BLOCK", block)
    monkeypatch.setattr(layers, "BLOCK_BYTES", block_bytes)
    vectors = X.reshape(50, -1).astype(np.float64)
    all_pairs = np.linalg.norm(vectors[:, None] - vectors, axis=2)
    distances, neighbours = nearest(X, np.arange(0, 50, 3), 20)
    np.testing.assert_allclose(distances, np.sort(all_pairs[::3])[:, 1:21], rtol=1e-4)
    np.testing.assert_array_equal(neighbours, np.argsort(all_pairs[::3])[:, 1:21])
