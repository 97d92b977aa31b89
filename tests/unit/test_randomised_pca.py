"""Components that are found in passes over the images are those of the exact analysis."""

import numpy as np
import pytest

from defectbench import memory
from defectbench.errors import InputError
from defectbench.scorers import components, layers, scorer_class
from defectbench.scorers.components import Components, principal_components

IMAGES, DIMENSIONS = 300, 400
NUMBERS = np.arange(1.0, IMAGES)
SPECTRA = {
    "exponential": 0.95**NUMBERS,
    "inverse": 1 / NUMBERS,
    "inverse root": 1 / np.sqrt(NUMBERS),
}


def features(standard_deviations: np.ndarray) -> np.ndarray:
    """Images with these deviations along as many random directions, far from the origin."""
    rng = np.random.default_rng(42)
    rank = len(standard_deviations)
    of_images, of_dimensions = (
        np.linalg.qr(rng.normal(size=(side, rank)))[0] for side in (IMAGES, DIMENSIONS)
    )
    return 3 + 100 * (of_images * standard_deviations) @ of_dimensions.T


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exact analysis is beyond the memory."""
    monkeypatch.setattr(components, "memory_limit", lambda: 0)


def randomised(X: np.ndarray, keep: int | float) -> Components:
    found = principal_components(X, keep=keep)
    assert found.analysis == "randomised"
    assert found.components.dtype == np.float32
    return found


def exact(X: np.ndarray, keep: int | float) -> Components:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(components, "memory_limit", lambda: 1 << 40)
        found = principal_components(X, keep=keep)
    assert found.analysis == "exact"
    return found


def share_kept(X: np.ndarray, found: Components) -> float:
    centred = X - X.mean(axis=0)
    return ((centred @ found.components.T.astype(np.float64)) ** 2).sum() / (centred**2).sum()


def likeness(found: Components, expected: Components) -> float:
    """Cosine of the largest angle between two spaces."""
    return np.linalg.svd(found.components @ expected.components.T)[1].min()


@pytest.mark.usefixtures("no_room")
@pytest.mark.parametrize("keep", [1, 16, 0.5, 0.9, 0.97])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_they_span_the_space_of_the_exact_ones_and_are_no_fewer(spectrum: str, keep: int | float):
    X = features(SPECTRA[spectrum])
    found, expected = randomised(X, keep), exact(X, keep)
    # a share is never overestimated, so one more may be taken, but none less
    assert len(found.components) - len(expected.components) in (0, 1)
    if isinstance(keep, int):  # the last of many directions of nearly equal variance is anyone's
        assert likeness(found, expected) > 0.9999
    assert share_kept(X, found) > share_kept(X, expected) - 2e-4
    np.testing.assert_allclose(
        found.components @ found.components.T, np.eye(len(found.components)), atol=1e-6
    )


@pytest.mark.usefixtures("no_room")
@pytest.mark.parametrize("keep", [0.3, 0.5, 0.97])
@pytest.mark.parametrize("falls", [0, 0.1, 0.25])
def test_of_a_spectrum_that_hardly_falls_the_share_is_kept_all_the_same(falls: float, keep: float):
    X = features(NUMBERS**-falls)
    found = randomised(X, keep)
    assert share_kept(X, found) > keep - 1e-6
    # leading directions are hard to tell apart there: a few more may be needed
    assert len(found.components) <= 1.1 * len(exact(X, keep).components) + 1


@pytest.mark.usefixtures("no_room")
def test_they_are_the_same_each_time_and_in_blocks(monkeypatch: pytest.MonkeyPatch):
    X = features(SPECTRA["inverse"])
    found = randomised(X, 0.9)
    np.testing.assert_array_equal(randomised(X, 0.9).components, found.components)
    monkeypatch.setattr(layers, "BLOCK_BYTES", 7 * 8 * DIMENSIONS)
    np.testing.assert_allclose(randomised(X, 0.9).components, found.components, atol=1e-6)


@pytest.mark.usefixtures("no_room")
def test_a_components_largest_entry_is_positive():
    components = randomised(features(SPECTRA["inverse"]), 6).components
    assert (components[np.arange(6), np.abs(components).argmax(axis=1)] > 0).all()


@pytest.mark.usefixtures("no_room")
def test_constant_features_are_refused():
    with pytest.raises(InputError, match="all training features are equal"):
        principal_components(np.full((10, 20), 0.1, np.float32), keep=2)


@pytest.mark.usefixtures("no_room")
def test_directions_that_do_not_fit_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch):
    X = features(SPECTRA["inverse root"])
    monkeypatch.setattr(memory, "memory_limit", lambda: 64 * 4 * 8 * DIMENSIONS)
    assert len(randomised(X, 20).components) == 20
    with pytest.raises(InputError, match=r"^\d.* GB of memory are needed, .*: keep fewer com"):
        randomised(X, 0.97)


@pytest.mark.usefixtures("no_room")
@pytest.mark.parametrize("name", ["pca_fre", "pca_gaussian", "pca_kde"])
def test_a_scorer_says_that_it_is_approximate_and_scores_alike(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    X = features(SPECTRA["inverse"])
    found = scorer_class(name)().fit(X)
    assert found.analysis_ == "randomised"
    monkeypatch.undo()
    expected = scorer_class(name)().fit(X)
    assert expected.analysis_ == "exact"
    np.testing.assert_allclose(found.anomaly_score(X), expected.anomaly_score(X), rtol=1e-4)
