"""PatchCore and the patch subspace equal their definitions; the coreset is the greedy one."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from defectbench.evaluation.cautions import approximations
from defectbench.scorers import coreset, patch_memory, patchcore
from defectbench.scorers.coreset import greedy_k_centres, random_projection
from defectbench.scorers.grids import bilinear, neighbourhood_mean, patch_features, smooth_maps
from defectbench.scorers.patch_memory import Needed
from defectbench.scorers.patch_subspace import PatchSubspace
from defectbench.scorers.patchcore import NearestPatch, Patchcore
from defectbench.scorers.patches import Patches


def layers(n_images: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    fine, coarse = rng.normal(size=(n_images, 4, 6, 8)), rng.normal(size=(n_images, 5, 3, 4))
    return [fine.astype(np.float32), coarse.astype(np.float32)]


TRAIN, TEST = layers(15, 1), layers(6, 2)


def test_a_patch_is_all_layers_at_a_position_averaged_over_its_neighbourhood():
    found = patch_features(TRAIN, neighbourhood=True)
    fine, coarse = (neighbourhood_mean(layer) for layer in TRAIN)
    expected = np.concatenate([fine, bilinear(coarse, (6, 8))], axis=1).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32


def plain_greedy(points: np.ndarray, number: int, start: int) -> list[int]:
    """Every distance renewed after each choice; of equally far points, the first."""
    squared, chosen = cdist(points, points, "sqeuclidean"), [start]
    nearest = squared[start]
    while len(chosen) < number:
        nearest[chosen[-1]] = -1
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, squared[chosen[-1]])
    return chosen


@pytest.mark.parametrize("candidates", [1, 7, 300, 4096])
@pytest.mark.parametrize("number", [80, 300])
def test_each_choice_is_the_point_farthest_from_all_before(
    number: int, candidates: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(coreset, "CANDIDATES", candidates)
    monkeypatch.setattr(coreset, "FARTHEST", max(1, candidates // 3))
    points = np.random.default_rng(42).normal(size=(300, 10)).astype(np.float32) + 5
    found = greedy_k_centres(points.copy(), number, start=17)
    np.testing.assert_array_equal(found, plain_greedy(points, number, 17))


@pytest.mark.parametrize("number", [1, 7, 8, 9, 64, 65, 255, 256])
@pytest.mark.parametrize(("candidates", "farthest", "piece"), [(9, 4, 3), (64, 16, 8), (999, 9, 5)])
def test_among_equal_and_equally_far_points_the_first_is_chosen(
    number: int, candidates: int, farthest: int, piece: int, monkeypatch: pytest.MonkeyPatch
):
    sizes = {"CANDIDATES": candidates, "FARTHEST": farthest, "PIECE": piece, "CHUNK": 8}
    for name, size in sizes.items():
        monkeypatch.setattr(coreset, name, size)
    # 256 points on whole numbers, 64 of them different: no sum is rounded, so ties are ties
    grid = np.indices((4, 4, 4), np.float32).reshape(3, 64).T
    points = np.random.default_rng(42).permutation(grid.repeat(4, axis=0))
    found = greedy_k_centres(points.copy(), number, start=100)
    np.testing.assert_array_equal(found, plain_greedy(points, number, 100))


def test_equal_points_are_chosen_once_each():
    points = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    assert sorted(greedy_k_centres(points.copy(), 12, start=5)) == list(range(12))
    assert len({tuple(points[row]) for row in greedy_k_centres(points.copy(), 3, start=5)}) == 3


def test_a_projection_nearly_keeps_distances():
    points = np.random.default_rng(42).normal(size=(50, 2000)).astype(np.float32)
    projection = random_projection(2000, len(points), seed=42)
    assert projection.shape == (96, 2000)  # 4 ln 50 / (0.9² / 2 - 0.9³ / 3)
    assert (projection == 0).mean() > 0.95
    before, after = (cdist(X, X)[np.triu_indices(50, 1)] for X in (points, points @ projection.T))
    assert np.abs(after / before - 1).max() < 0.9
    np.testing.assert_allclose((after / before).mean(), 1, atol=0.1)


def test_few_dimensions_are_not_projected():
    assert random_projection(10, 1000, seed=42) is None


def test_patchcore_measures_distances_to_the_nearest_kept_patch():
    scorer = Patchcore(coreset=0.3, map_size=16).fit(TRAIN)
    assert scorer.memory_.shape == (216, 9)
    patches = patch_features(TEST, neighbourhood=True).reshape(-1, 9)
    expected = cdist(patches, scorer.memory_).min(axis=1).reshape(6, 6, 8)
    np.testing.assert_allclose(scorer.distances(TEST), expected, rtol=1e-6)
    smooth = smooth_maps(scorer.distances(TEST), 16)
    np.testing.assert_array_equal(scorer.anomaly_map(TEST), smooth)


def test_patchcores_image_score_is_the_largest_distance_weighted_by_the_neighbourhood():
    scorer = Patchcore(coreset=0.3, neighbours=4).fit(TRAIN)
    memory = scorer.memory_.astype(np.float64)
    for image, score in enumerate(scorer.anomaly_score(TEST)):
        patches = patch_features(TEST, neighbourhood=True)[image].reshape(-1, 9)
        distances = cdist(patches, memory)
        patch = distances.min(axis=1).argmax()
        nearest = distances[patch].argmin()
        support = cdist(memory[[nearest]], memory)[0].argsort()[:4]
        shares = np.exp(distances[patch, support])
        weight = 1 - shares[0] / shares.sum()
        np.testing.assert_allclose(score, weight * distances[patch, nearest], rtol=1e-6)


def test_one_neighbour_leaves_the_distance_unweighted():
    scorer = Patchcore(neighbours=1).fit(TRAIN)
    expected = scorer.distances(TEST).max(axis=(1, 2))
    np.testing.assert_allclose(scorer.anomaly_score(TEST), expected, rtol=1e-6)


@pytest.mark.parametrize("points_at_once", [1, 7, 512])
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_an_image_score_needs_few_distances_and_is_that_of_all(
    points_at_once: int, spread: float, monkeypatch
):
    monkeypatch.setattr(patchcore, "POINTS", points_at_once)
    monkeypatch.setattr(patchcore, "FIRST", 2)
    rng = np.random.default_rng(3)
    points = rng.normal(size=(90, 5)).astype(np.float32)
    points[40:60] = points[20:40]
    search = NearestPatch(points)
    for _ in range(20):
        X = (points[rng.integers(90, size=200)] + spread * rng.normal(size=(200, 5))).astype("f4")
        nearest, distances = search(X)
        row, point, distance = search.farthest(X)
        assert distance == distances.max()
        if spread:
            assert (row, point) == (distances.argmax(), nearest[distances.argmax()])


def test_scores_alone_are_those_that_come_with_maps():
    scorer = Patchcore(map_size=16).fit(TRAIN)
    np.testing.assert_allclose(scorer.anomaly_score(TEST), scorer.score_and_map(TEST)[0], 1e-12)


def test_patch_subspace_is_the_residual_to_the_components_of_all_patches():
    scorer = PatchSubspace(variance=0.7).fit(TRAIN)
    train, test = (patch_features(X).reshape(-1, 9) for X in (TRAIN, TEST))
    pca = PCA(0.7, svd_solver="full").fit(train)
    residual = test - pca.inverse_transform(pca.transform(test))
    expected = (residual**2).sum(axis=1).reshape(6, 6, 8)
    np.testing.assert_allclose(scorer.anomaly_map(TEST), expected, rtol=1e-4, atol=1e-6)


def test_patch_subspace_scores_the_largest_hundredth():
    wide = [np.random.default_rng(42).normal(size=(5, 4, 20, 20)).astype(np.float32)]
    scorer = PatchSubspace(variance=0.5).fit(wide)
    values = scorer.anomaly_map(wide).reshape(5, 400)
    expected = np.sort(values, axis=1)[:, -4:].mean(axis=1)
    np.testing.assert_allclose(scorer.anomaly_score(wide), expected, rtol=1e-6)


def test_where_the_memory_has_no_room_for_all_patches_some_of_each_image_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
):
    X = np.random.default_rng(42).normal(size=(30, 6, 16, 16)).astype(np.float32)
    alone = Needed([X.shape], 0.05, False, 30)
    monkeypatch.setattr(patch_memory, "memory_limit", lambda: alone.bytes() - 1)
    found = Patchcore(coreset=0.05, map_size=8, seed=7).fit(X)
    assert found.analysis_ == "drawn patches: 128 of 256"
    assert approximations(found.analysis_, "patchcore lite0") == [
        "the memory of patchcore lite0 is selected from some patches of each image, 128 of 256, "
        "drawn by the seed: there was no room for all"
    ]
    assert len(found.memory_) == int(0.05 * 30 * 128)
    every = patch_features([X], neighbourhood=True).reshape(30, 256, 6)
    drawn = Patches([X], neighbourhood=True, drawn=128, seed=7)
    assert drawn.shape == (30 * 128, 6)
    for image, own in enumerate(drawn[:].reshape(30, 128, 6)):
        of_image = {row.tobytes() for row in every[image]}
        assert {row.tobytes() for row in own} <= of_image
    np.testing.assert_array_equal(drawn.of_images(np.array([4]))[:], drawn[4 * 128 : 5 * 128])
    again = Patchcore(coreset=0.05, map_size=8, seed=7).fit(X)
    np.testing.assert_array_equal(again.memory_, found.memory_)
    assert again.fit_bytes([X.shape]) < alone.bytes()
