"""What the studies' answers say of figures made by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_results import write_cell, write_page

from defectbench.storage import write_json
from defectbench.studies.answers import (
    contamination_answers,
    robustness_answers,
    training_size_answers,
)
from defectbench.studies.report import study_section

NAMES = {"a net": "a", "b net": "b"}


def level(auroc: float, rate: float = 0.05, recall: float = 0.5, **varied: Any) -> dict[str, Any]:
    figures = {"image_auroc": auroc, "false_positive_rate": rate, "recall": recall}
    intervals = {name: (value - 0.02, value + 0.02) for name, value in figures.items()}
    return {"images": 0.0, "reason": "", "repeats": [], **figures, "intervals": intervals, **varied}


def result(*levels: dict[str, Any], detector: str = "a net") -> dict[str, Any]:
    return {
        "category": "plate",
        "detector": detector,
        "levels": list(levels),
        "false_positive_rate": 0.05,
        "rule": "average",
        "settings": {"trimmed": 0.1},
    }


def of_sizes(*aurocs: float, detector: str = "a net", rate: float = 0.05) -> dict[str, Any]:
    sizes = (10, 50, 100, 200)
    pairs = zip(sizes, aurocs, strict=True)
    levels = (level(auroc, rate, level=size, images=float(size)) for size, auroc in pairs)
    return result(*levels, detector=detector)


ENTRY = of_sizes(0.80, 0.935, 0.94, 0.942) | {
    "study": "training_size",
    "images": {"train": 200, "test_good": 50, "test_defective": 50},
}


def test_the_smallest_number_is_the_one_from_which_on_none_is_a_point_worse():
    lines = training_size_answers([of_sizes(0.80, 0.935, 0.94, 0.942)], NAMES)
    assert "plate, a: the smallest number within one point of all is 50 (0.935" in lines[0]
    # a lucky small number does not count: the next one is worse again
    lines = training_size_answers([of_sizes(0.95, 0.90, 0.94, 0.942)], NAMES)
    assert "within one point of all is 100" in lines[0]


def test_where_the_last_step_still_gains_the_answer_is_more_than_you_have():
    lines = training_size_answers([of_sizes(0.80, 0.85, 0.90, 0.95)], NAMES)
    assert "more than you have (200): from 100 images on the last step still gained 5.0" in lines[0]


def test_a_threshold_that_breaks_its_promise_is_named():
    lines = training_size_answers([of_sizes(0.9, 0.9, 0.9, 0.9, rate=0.3)], NAMES)
    assert "The threshold misses the 5% asked for even with all of them (30.0%" in lines[0]
    lines = training_size_answers([of_sizes(0.9, 0.9, 0.9, 0.9, rate=0.04)], NAMES)
    assert "keeps the 5% asked for from 10 images on" in lines[0]


def test_a_ranking_that_turns_around_is_named():
    few, many = (0.9, 0.9, 0.9, 0.9), (0.8, 0.85, 0.92, 0.95)
    lines = training_size_answers([of_sizes(*few), of_sizes(*many, detector="b net")], NAMES)
    assert lines[-1] == "plate: the ranking turns: with 10 images a is first, with 200 b."


def test_contamination_compares_the_largest_share_that_was_measured():
    missing = {**level(0, level=0.5, variant="plain"), "reason": "too few"}
    levels = (
        level(0.9, 0.05, 0.6, level=0, variant="plain"),
        level(0.9, 0.15, 0.7, level=0, variant="trimmed"),
        level(0.8, 0.01, 0.2, level=0.1, variant="plain"),
        level(0.85, 0.04, 0.5, level=0.1, variant="trimmed"),
        missing,
    )
    (line,) = contamination_answers([result(*levels)], NAMES)
    assert "with 10% bad images AUROC goes from 0.900 to 0.800" in line
    assert "the share found from 60% to 20%" in line
    assert "trimming 10% brings AUROC to 0.850" in line


def test_robustness_tells_where_the_line_stops_and_what_a_reset_gives():
    def at(severity: float, rate: float, auroc: float) -> list[dict[str, Any]]:
        varied = {"perturbation": "brightness", "level": severity}
        return [
            level(auroc, rate, variant="frozen", **varied),
            level(auroc, 0.05, 0.4, variant="reset", **varied),
        ]

    clean = [
        level(0.9, 0.02, variant=variant, perturbation="clean", level=0)
        for variant in ("frozen", "reset")
    ]
    (line,) = robustness_answers([result(*clean, *at(-30, 0.9, 0.7), *at(-10, 0.11, 0.89))], NAMES)
    assert "false alarms stop the line at -10 % of brightness: 11% instead of 2.0%" in line
    assert "AUROC 0.890 instead of 0.900" in line
    assert "a threshold set anew there gives 5.0% and finds 40%" in line
    (line,) = robustness_answers([result(*clean, *at(-10, 0.1, 0.89))], NAMES)
    assert "brightness: the frozen threshold holds for a, with false alarms of 10.0%" in line
    assert "AUROC loses 1.0 points at most (a at -10 % of brightness)" in line


def test_a_threshold_that_finds_nothing_gets_no_praise_for_raising_no_alarm():
    levels = [
        level(0.9, 0.0, recall, variant=variant, perturbation=perturbation, level=severity)
        for perturbation, severity in (("clean", 0), ("blur", 2))
        for variant, recall in (("frozen", 0.01), ("reset", 0.6))
    ]
    blind, holds = robustness_answers([result(*levels)], NAMES)
    assert "a (1.0%; 60% with a threshold set on good test images)" in blind
    assert "AUROC loses nothing" in holds


def test_the_section_shows_answers_plot_and_tables_of_each_category():
    found = study_section({"training_size": [ENTRY]})
    (study,) = found["studies"]
    assert "the smallest number within one point of all is 50" in study["answers"][0]
    (category,) = study["categories"]
    assert category["name"] == "plate"
    assert str(category["drawing"]).startswith("<svg")
    auroc, shares = category["tables"]
    assert auroc.texts["a net"][:2] == ["0.800 (0.780–0.820)", "0.935 (0.915–0.955)"]
    assert shares.points[0] == "10 images"


def test_plots_beyond_the_pages_room_are_linked_to(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("defectbench.studies.report.BUDGET", 10)
    entries = [ENTRY | {"category": category} for category in ("plate", "ring")]
    (study,) = study_section({"training_size": entries})["studies"]
    plate, ring = study["categories"]
    assert plate["drawing"]
    assert ring["drawing"] is None
    assert ring["plot"] == "training_size_ring.svg"


def test_the_page_shows_studies_where_it_is_given_some_and_no_name_is_markup(tmp_path: Path):
    images = [(f"test/{k}.png", k % 2, "good") for k in range(20)]
    scores = np.arange(20.0)
    cell = write_cell(tmp_path, "parts", "plate", ("a", "net"), images, scores, scores)
    file = tmp_path / "training_size.json"
    made = {"method": "a", "backbone": "net", "category": "<b>plate", "seed": 42}
    write_json(file, ENTRY | made)
    page = write_page(tmp_path, "parts", [cell], [], studies=[file]).read_text()
    assert '<a href="#studies">What if?</a>' in page
    assert "&lt;b&gt;plate, a: the smallest number within one point of all is 50" in page
    assert "<b>plate" not in page
    assert '<a href="parts_studies.md">studies</a>' in page
