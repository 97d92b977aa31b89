"""What every registered scorer promises."""

import inspect

import numpy as np
import pytest

from defectbench.errors import InputError
from defectbench.scorers import scorer_class, scorer_names
from defectbench.scorers.base import Scorer
from defectbench.storage import read_arrays, write_arrays

RNG = np.random.default_rng(42)
TRAIN = RNG.normal(size=(60, 50)).astype(np.float32)
NORMAL = RNG.normal(size=(20, 50)).astype(np.float32)
ANOMALOUS = NORMAL + 20


@pytest.fixture(params=scorer_names())
def scorer(request: pytest.FixtureRequest) -> Scorer:
    return scorer_class(request.param)()


def test_the_registry_holds_both_published_scorers():
    assert {"pca_kde", "pca_fre"} <= set(scorer_names())


def test_constructor_takes_keywords_only_and_only_stores(scorer: Scorer):
    parameters = inspect.signature(type(scorer)).parameters
    for name, parameter in parameters.items():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert getattr(scorer, name) == parameter.default
    assert set(vars(scorer)) == set(parameters)


def test_every_parameter_has_a_schema(scorer: Scorer):
    assert set(scorer.parameter_schema) == set(inspect.signature(type(scorer)).parameters)


def test_fit_returns_itself_and_sets_the_fitted_attributes(scorer: Scorer):
    assert scorer.fit(TRAIN) is scorer
    assert all(hasattr(scorer, f"{name}_") for name in scorer.fitted)


def test_scores_are_float64_one_per_image_and_finite(scorer: Scorer):
    scores = scorer.fit(TRAIN).anomaly_score(NORMAL)
    assert scores.shape == (20,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()


def test_anomalous_images_score_higher(scorer: Scorer):
    scorer.fit(TRAIN)
    assert scorer.anomaly_score(ANOMALOUS).min() > scorer.anomaly_score(NORMAL).max()


def test_an_images_score_does_not_depend_on_its_company(scorer: Scorer):
    scorer.fit(TRAIN)
    alone = np.concatenate([scorer.anomaly_score(NORMAL[i : i + 1]) for i in range(len(NORMAL))])
    np.testing.assert_allclose(alone, scorer.anomaly_score(NORMAL), rtol=1e-9)


def test_fitting_twice_gives_the_same_scores(scorer: Scorer):
    first = scorer.fit(TRAIN).anomaly_score(NORMAL)
    np.testing.assert_array_equal(scorer.fit(TRAIN).anomaly_score(NORMAL), first)


def test_inputs_are_not_changed(scorer: Scorer):
    train, test = TRAIN.copy(), NORMAL.copy()
    scorer.fit(train).anomaly_score(test)
    np.testing.assert_array_equal(train, TRAIN)
    np.testing.assert_array_equal(test, NORMAL)


def test_a_stored_scorer_scores_the_same(scorer: Scorer, tmp_path):
    expected = scorer.fit(TRAIN).anomaly_score(NORMAL)
    write_arrays(tmp_path / "model.h5", scorer.to_arrays(), {})
    arrays, _ = read_arrays(tmp_path / "model.h5")
    restored = type(scorer)().from_arrays(arrays)
    np.testing.assert_array_equal(restored.anomaly_score(NORMAL), expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused(scorer: Scorer, bad: float):
    X = TRAIN.copy()
    X[7, 3] = bad
    with pytest.raises(InputError, match="image 7"):
        scorer.fit(X)
    with pytest.raises(InputError, match="image 7"):
        type(scorer)().fit(TRAIN).anomaly_score(X)


def test_constant_features_are_refused(scorer: Scorer):
    with pytest.raises(InputError, match="equal"):
        scorer.fit(np.ones((60, 50), np.float32))


def test_docstring_has_parameters_attributes_and_an_example(scorer: Scorer):
    doc = inspect.getdoc(type(scorer))
    for section in ("Parameters\n---", "Attributes\n---", "Examples\n---"):
        assert section in doc


def test_the_example_runs(scorer: Scorer):
    import doctest

    module = inspect.getmodule(type(scorer))
    results = doctest.testmod(module, extraglobs={"np": np})
    assert results.attempted > 0
    assert results.failed == 0
