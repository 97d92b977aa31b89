"""What every registered scorer promises."""

import doctest
import inspect
from functools import partial

import numpy as np
import pytest

from defectbench.errors import InputError
from defectbench.scorers import scorer_class, scorer_names
from defectbench.scorers.base import Scorer
from defectbench.storage import read_arrays, write_arrays

SIDE = 7


def vectors(rng: np.random.Generator, n_images: int) -> np.ndarray:
    return rng.normal(size=(n_images, 50)).astype(np.float32)


def maps(rng: np.random.Generator, n_images: int) -> np.ndarray:
    """Channels, more than some scorers keep, that four causes explain, but for noise."""
    causes = rng.normal(size=(n_images, 4, SIDE * SIDE))
    mixing = np.random.default_rng(7).normal(size=(110, 4))
    noise = rng.normal(size=(n_images, 110, SIDE * SIDE)) * 0.1
    return (mixing @ causes + noise).reshape(n_images, 110, SIDE, SIDE).astype(np.float32)


class Case:
    """A scorer's class with features of the kind that it makes most of."""

    def __init__(self, name: str) -> None:
        self.kind = scorer_class(name)
        # what is trained is trained for a moment: nothing here needs it to be good
        trained = "epochs" in inspect.signature(self.kind).parameters
        self.new = partial(self.kind, epochs=20) if trained else self.kind
        rng = np.random.default_rng(42)
        make = maps if self.kind.localizes else vectors
        self.train, self.normal = make(rng, 60), make(rng, 20)
        self.anomalous = self.normal + 20
        self.copies = self.train.copy(), self.normal.copy()
        self.fitted = self.new().fit(self.train)


@pytest.fixture(params=scorer_names(), scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def stored(scorer: Scorer) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in scorer.to_arrays().items()}


def test_the_registry_holds_both_published_scorers():
    assert {"pca_kde", "pca_fre"} <= set(scorer_names())


def test_constructor_takes_keywords_only_and_only_stores(case: Case):
    parameters = inspect.signature(case.kind).parameters
    for name, parameter in parameters.items():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert getattr(case.kind(), name) == parameter.default
    assert set(vars(case.kind())) == set(parameters)


def test_every_parameter_but_the_seed_has_a_schema(case: Case):
    parameters = set(inspect.signature(case.kind).parameters)
    assert set(case.kind.parameter_schema) == parameters - {"seed"}


def test_a_scorer_takes_a_seed_if_and_only_if_it_draws(case: Case):
    assert ("seed" in inspect.signature(case.kind).parameters) == case.kind.draws


def test_the_seed_governs_what_is_drawn(case: Case):
    if not case.kind.draws:
        pytest.skip("draws nothing")
    assert stored(case.new(seed=43).fit(case.train)) != stored(case.fitted)


def test_fit_returns_itself_and_gives_the_same_bytes_each_time(case: Case):
    scorer = case.new()
    assert scorer.fit(case.train) is scorer
    assert stored(scorer) == stored(case.fitted)


def test_scores_are_float64_one_per_image_and_finite(case: Case):
    scores = case.fitted.anomaly_score(case.normal)
    assert scores.shape == (20,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()


def test_anomalous_images_score_higher(case: Case):
    anomalous = case.fitted.anomaly_score(case.anomalous)
    assert anomalous.min() > case.fitted.anomaly_score(case.normal).max()


def test_a_localizing_scorer_points_at_the_defect_and_others_decline(case: Case):
    if not case.kind.localizes:
        with pytest.raises(InputError, match="no anomaly map"):
            case.fitted.anomaly_map(case.normal)
        return
    X = case.normal.copy()
    X[:, :, 2, 4] += 20
    found = case.fitted.anomaly_map(X)
    assert found.dtype == np.float32
    assert found.shape[0] == 20
    assert np.isfinite(found).all()
    height, width = found.shape[1:]
    for image in found:
        y, x = np.unravel_index(image.argmax(), image.shape)
        assert abs((y + 0.5) * SIDE / height - 2.5) <= 1
        assert abs((x + 0.5) * SIDE / width - 4.5) <= 1


def test_score_and_map_together_are_those_of_each_alone(case: Case):
    if not case.kind.localizes:
        pytest.skip("has no map")
    scores, found = case.fitted.score_and_map(case.normal)
    np.testing.assert_array_equal(scores, case.fitted.anomaly_score(case.normal))
    np.testing.assert_array_equal(found, case.fitted.anomaly_map(case.normal))


def test_a_localizing_scorer_needs_a_place(case: Case):
    if not case.kind.localizes:
        pytest.skip("has no map")
    flat = case.train.reshape(60, -1)
    with pytest.raises(InputError, match="no place"):
        case.new().fit(flat).anomaly_map(flat)


def test_an_images_score_does_not_depend_on_its_company(case: Case):
    X = case.normal
    alone = np.concatenate([case.fitted.anomaly_score(X[i : i + 1]) for i in range(len(X))])
    np.testing.assert_allclose(alone, case.fitted.anomaly_score(X), rtol=1e-5)


def test_inputs_are_not_changed(case: Case):
    case.fitted.anomaly_score(case.normal)
    for array, copy in zip((case.train, case.normal), case.copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_a_stored_scorer_scores_the_same(case: Case, tmp_path):
    write_arrays(tmp_path / "model.h5", case.fitted.to_arrays(), {})
    arrays, _ = read_arrays(tmp_path / "model.h5")
    restored = case.kind().from_arrays(arrays)
    expected = case.fitted.anomaly_score(case.normal)
    np.testing.assert_array_equal(restored.anomaly_score(case.normal), expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused(case: Case, bad: float):
    X = case.train.copy()
    X[7, 3] = bad
    with pytest.raises(InputError, match="image 7"):
        case.new().fit(X)
    with pytest.raises(InputError, match="image 7"):
        case.fitted.anomaly_score(X)


def test_constant_features_are_refused(case: Case):
    with pytest.raises(InputError, match="equal"):
        case.new().fit(np.ones_like(case.train))


def test_docstring_has_parameters_attributes_an_example_and_says_when_to_use_it(case: Case):
    doc = inspect.getdoc(case.kind)
    for part in ("When to use it", "Parameters\n---", "Attributes\n---", "Examples\n---"):
        assert part in doc


def test_the_example_runs(case: Case):
    results = doctest.testmod(inspect.getmodule(case.kind), extraglobs={"np": np})
    assert results.attempted > 0
    assert results.failed == 0
