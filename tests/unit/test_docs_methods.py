"""The page on methods names every scorer, and its worked example is a scorer like the others."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import defectbench.scorers
from defectbench.scorers import scorer_class, scorer_names
from defectbench.scorers.base import Scorer

PAGE = (Path(__file__).parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Scorer]:
    """The page's file, put where the page says, and found by its name."""
    name, code = re.search(r"`scorers/(\w+)\.py`:\n\n```python\n(.*?)```", PAGE, re.DOTALL).groups()
    (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(defectbench.scorers, "__path__", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, f"defectbench.scorers.{name}", raising=False)
    return scorer_class(name)


def test_every_scorer_has_an_entry():
    assert set(scorer_names()) <= set(re.findall(r"^### `(\w+)`", PAGE, re.MULTILINE))


def test_every_parameter_is_named_in_its_scorers_entry():
    for name in scorer_names():
        entry = re.search(rf"^### `{name}`(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)[1]
        for parameter in scorer_class(name).parameter_schema:
            assert f"`{parameter}`" in entry, f"{name}: {parameter}"


def test_the_worked_example_scores_localizes_and_is_stored(example: type[Scorer]):
    rng = np.random.default_rng(42)
    train = rng.normal(size=(40, 3, 5, 5)).astype(np.float32)
    defective = train[:4].copy()
    defective[:, :, 1, 3] += 50
    scorer = example().fit(train)
    assert scorer.anomaly_score(defective).min() > scorer.anomaly_score(train).max()
    found = scorer.anomaly_map(defective)
    assert found.dtype == np.float32
    assert all(np.unravel_index(image.argmax(), (5, 5)) == (1, 3) for image in found)
    restored = example().from_arrays(scorer.to_arrays())
    np.testing.assert_array_equal(restored.anomaly_map(defective), found)


def test_the_worked_examples_docstring_runs(example: type[Scorer]):
    import doctest

    results = doctest.testmod(sys.modules[example.__module__], extraglobs={"np": np})
    assert results.attempted > 0
    assert results.failed == 0
