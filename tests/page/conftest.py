"""A browser, and pages of generated results for it."""

from collections.abc import Iterator
from pathlib import Path

import browser as chromium
import made_results
import numpy as np
import pytest
from made_results import STRANGE, UNICODE

from defectbench.evaluation.held_out import held_out
from defectbench.scorers import scorer_class

DETECTORS = [("fre", "resnet18"), ("dfkde", "resnet18"), ("fre", "resnet50")]
COSTS = {"escape": 100, "false_alarm": 1}
ODD = "0.png"
"""A training image that looks like none of the others."""


@pytest.fixture(scope="session")
def browser() -> Iterator[chromium.Browser]:
    """A headless Chromium; the tests are skipped where it cannot be had."""
    reason = chromium.install()
    if reason:
        pytest.skip(reason)
    with chromium.browser() as opened:
        yield opened


def images_of(good: int, defects: dict[str, int]) -> list[tuple[str, int, str]]:
    found = [(f"test/{d}/{k:03}.png", 1, d) for d in sorted(defects) for k in range(defects[d])]
    return sorted(found + [(f"test/good/{k:03}.png", 0, "good") for k in range(good)])


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Page of four categories and three detectors, with names that look like markup."""
    root = tmp_path_factory.mktemp("parts")
    rng = np.random.default_rng(5)
    cells, folders = [], []
    for category, images in {
        "plate": images_of(40, {"scratch": 20, "dent": 15}),
        STRANGE: images_of(30, {"<b>bold</b>": 12, "$x_1$": 12}),
        UNICODE: images_of(25, {"царапина": 25}),
        "spotless": images_of(12, {}),
    }.items():
        labels = np.array([label for _, label, _ in images])
        if "/" not in category:
            paths = [ODD, *(path for path, _, _ in images)]
            folders.append(made_results.write_images(root, category, paths))
        for quality, detector in enumerate(DETECTORS, 1):
            scores = rng.normal(0.6 * quality * labels, 1)
            good = rng.normal(0, 1, 80)
            if category == "plate":
                good[0] = 40  # shown with its picture, which no threshold judges
            cell = made_results.write_cell(root, "parts", category, detector, images, scores, good)
            made_results.write_cost(cell, 3.0 * quality)
            cells.append(cell)
    return made_results.write_page(root, "parts", cells, folders, COSTS)


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Page of 8 categories and 13 detectors, from random features through the scorers."""
    root = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(7)
    detectors = [("pca_kde", {"components": k}) for k in range(2, 9)]
    detectors += [("pca_fre", {"variance": v}) for v in np.arange(0.4, 0.95, 0.1).round(1).tolist()]
    cells, folders = [], []
    for number in range(8):
        category = f"category_{number:02}"
        images = images_of(35, {f"defect_{k}": 15 for k in range(5)})
        labels = np.array([label for _, label, _ in images])
        train = rng.normal(size=(240, 32))
        test = rng.normal(size=(len(images), 32)) + 0.15 * (1 + number % 5) * labels[:, None]
        folders.append(made_results.write_images(root, category, [image[0] for image in images]))
        for name, parameters in detectors:
            method = name + "_" + "".join(str(value) for value in parameters.values())
            scorer = scorer_class(name)(**parameters).fit(train)
            scores = scorer.anomaly_score(test)
            of_train = held_out(scorer, train, np.array_split(np.arange(240), 5))
            cells.append(
                made_results.write_cell(
                    root, "large", category, (method, "given"), images, scores, of_train
                )
            )
    return made_results.write_page(root, "large", cells, folders)
