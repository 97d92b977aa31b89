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
from defectbench.studies.tables import images_line, study_tables

NAMES = {"a net": "a", "b net": "b"}


def level(
    auroc: float,
    rate: float = 0.05,
    recall: float = 0.5,
    *,
    open_by: float = 0.02,
    repeats: int = 3,
    **varied: Any,
) -> dict[str, Any]:
    """A point whose shares are open by so much, and whose ranking errs as all others do."""
    figures = {"image_auroc": auroc, "false_positive_rate": rate, "recall": recall}
    intervals = {name: (value - open_by, value + open_by) for name, value in figures.items()}
    return {
        "images": 0.0,
        "groups": varied.get("images", 0.0),
        "share": 0.1,
        "reason": "",
        "repeats": [{"image_auroc": auroc, "set_on": 20}] * repeats,
        **figures,
        "intervals": intervals,
        "ranking": {"variance": 1e-4, "units": [500, 500], "parts": [0.01]},
        **varied,
    }


def result(*levels: dict[str, Any], detector: str = "a net") -> dict[str, Any]:
    return {
        "category": "plate",
        "detector": detector,
        "levels": list(levels),
        "false_positive_rate": 0.05,
        "rule": "average",
        "settings": {"trimmed": 0.1},
    }


def of_sizes(*aurocs: float, detector: str = "a net", **given: Any) -> dict[str, Any]:
    sizes = (10, 50, 100)
    levels = [
        level(auroc, level=size, images=float(size), **given)
        for size, auroc in zip(sizes, aurocs, strict=False)
    ]
    last = level(aurocs[-1], level="all", images=200.0, **{**given, "repeats": 1})
    return result(*levels, last, detector=detector)


def with_few_test_images(studied: dict[str, Any]) -> dict[str, Any]:
    """The same, but that every point's errors are its own."""
    for place, each in enumerate(studied["levels"]):
        each["ranking"] |= {"parts": np.eye(4)[place].tolist()}
    return studied


ENTRY = of_sizes(0.80, 0.9401, 0.941, 0.942) | {
    "study": "training_size",
    "images": {"train": 200, "test_good": 50, "test_defective": 50},
}


def test_images_are_enough_from_where_on_all_gain_less_than_a_point():
    line, *_ = training_size_answers([of_sizes(0.80, 0.9401, 0.941, 0.942)], NAMES)
    assert "plate, a: 50 images are enough to be within one point of all 200" in line
    assert "which gain 0.2 points (0.2 to 0.2), to 0.942 (0.922–0.962)" in line
    # a lucky small number does not count: the next one is worse again
    line, *_ = training_size_answers([of_sizes(0.942, 0.90, 0.941, 0.942)], NAMES)
    assert "plate, a: 100 images are enough" in line


def test_where_the_last_step_gains_more_than_a_point_the_answer_is_more_than_you_have():
    line, *_ = training_size_answers([of_sizes(0.80, 0.85, 0.90, 0.95)], NAMES)
    assert "more than you have: from 100 to all 200 AUROC gains 5.0 points" in line


def test_differences_that_test_images_leave_open_give_no_answer():
    line, *_ = training_size_answers(
        [with_few_test_images(of_sizes(0.80, 0.94, 0.941, 0.942))], NAMES
    )
    assert "too few images to tell how many are enough: from 100 to all 200 AUROC gains" in line
    assert "are enough to be" not in line


def test_numbers_that_were_drawn_once_give_no_answer():
    line, *_ = training_size_answers([of_sizes(0.8, 0.94, 0.941, 0.942, repeats=1)], NAMES)
    assert "too few images to tell how many are enough: each number was drawn once." in line


@pytest.mark.parametrize(
    ("rate", "open_by", "said"),
    [
        (0.02, 0.02, "False alarms keep the 5% asked for from 10 images on: 2.0% (0.0%–4.0%)."),
        (0.05, 0.02, "Too few images to tell whether the threshold keeps the 5% asked for"),
        (0.03, 0.10, "Too few images to tell whether the threshold keeps the 5% asked for"),
        (0.50, 0.10, "False alarms exceed the 5% asked for even with all 200 images: 50.0%"),
    ],
)
def test_the_rate_is_kept_or_exceeded_only_where_the_interval_says_so(
    rate: float, open_by: float, said: str
):
    line, *_ = training_size_answers([of_sizes(*[0.9] * 4, rate=rate, open_by=open_by)], NAMES)
    assert said in line
    assert line.count("False alarms keep") + line.count("False alarms exceed") == (
        not said.startswith("Too few")
    )


def test_numbers_up_to_which_the_rate_is_exceeded_are_named():
    studied = of_sizes(*[0.9] * 4)
    for each in studied["levels"][:2]:
        each["false_positive_rate"] = 0.3
        each["intervals"]["false_positive_rate"] = (0.2, 0.4)
    line, *_ = training_size_answers([studied], NAMES)
    assert "With up to 50 images false alarms exceed it: 30.0% (20.0%–40.0%)." in line


def test_a_ranking_that_turns_around_is_named_where_both_leads_are_clear():
    few, many = (0.9, 0.9, 0.9, 0.9), (0.8, 0.85, 0.92, 0.95)
    both = [of_sizes(*few), of_sizes(*many, detector="b net")]
    line = training_size_answers(both, NAMES)[-1]
    assert line.startswith("plate: the ranking turns: with 10 images a leads by 10.0 points")
    assert "with all b by 5.0 points" in line
    close = [of_sizes(*few), of_sizes(0.89, *many[1:], detector="b net")]
    for each in close:
        with_few_test_images(each)
    close[1]["levels"][0]["ranking"]["parts"] = [0, 0, 1, 0]
    line = training_size_answers(close, NAMES)[-1]
    assert line.startswith("plate: too few images to tell whether the ranking turns: with 10")
    # whoever was drawn once may have been lucky
    once = [of_sizes(*few, repeats=1), of_sizes(*many, detector="b net", repeats=1)]
    assert "too few images to tell whether" in training_size_answers(once, NAMES)[-1]


def test_groups_of_training_images_are_counted():
    studied = of_sizes(0.80, 0.9401, 0.941, 0.942)
    for each in studied["levels"]:
        each["groups"] = each["images"] / 10
    line, *_ = training_size_answers([studied], NAMES)
    assert "50 (in 5 groups) images are enough to be within one point of all 200 (in 20" in line
    auroc, _ = study_tables([studied])
    assert auroc.points == [
        "10 images, 10 in 1 group on average",
        "50 images, 50 in 5 groups on average",
        "100 images, 100 in 10 groups on average",
        "all images, 200 in 20 groups",
    ]


def test_a_size_that_was_drawn_once_says_so_in_the_table():
    auroc, _ = study_tables([of_sizes(*[0.9] * 4, repeats=1)])
    assert auroc.points[0] == "10 images, one draw"
    assert auroc.points[-1] == "all images"


def test_contamination_compares_the_largest_share_that_was_measured_and_prices_trimming():
    missing = {**level(0, level=0.5, variant="plain"), "reason": "too few"}
    levels = (
        level(0.9, 0.05, 0.6, level=0, variant="plain"),
        level(0.89, 0.15, 0.7, level=0, variant="trimmed"),
        level(0.8, 0.03, 0.2, level=0.1, variant="plain"),
        level(0.85, 0.04, 0.5, level=0.1, variant="trimmed"),
        missing,
    )
    (line,) = contamination_answers([result(*levels)], NAMES)
    assert "with 10% bad images AUROC goes from 0.900 (0.880–0.920) to 0.800" in line
    assert "the share found from 60% (58%–62%) to 20%" in line
    assert "trimming 10% brings AUROC to 0.850" in line
    assert "where no image is bad, with trimming 10% AUROC goes from 0.900" in line
    assert "false alarms from 5.0% (3.0%–7.0%) to 15.0% (13.0%–17.0%)." in line


def at(severity: float, rate: float, auroc: float, **given: Any) -> list[dict[str, Any]]:
    varied = {"perturbation": "brightness", "level": severity, "repeats": 1} | given
    return [
        level(auroc, rate, variant="frozen", **varied),
        level(auroc, 0.05, 0.4, variant="reset", **varied),
    ]


def clean(rate: float = 0.02) -> list[dict[str, Any]]:
    return at(0, rate, 0.9, perturbation="clean")


def test_robustness_tells_where_the_line_stops_and_what_a_reset_gives():
    (line,) = robustness_answers(
        [result(*clean(), *at(-30, 0.9, 0.7), *at(-10, 0.13, 0.89))], NAMES
    )
    assert "false alarms stop the line at -10 % of brightness: 13.0% (11.0%–15.0%)" in line
    assert "AUROC 0.890 (0.870–0.910), of clean images 0.900" in line
    assert "a threshold set anew there gives 5.0% (3.0%–7.0%) and finds 40% (38%–42%)" in line


def test_robustness_tells_of_whom_the_threshold_holds():
    (line,) = robustness_answers([result(*clean(), *at(-10, 0.08, 0.89))], NAMES)
    assert (
        "brightness: the frozen threshold holds for a: false alarms are 8.0% (6.0%–10.0%)" in line
    )
    assert "AUROC loses at most 1.0 points" in line
    assert "(a at -10 % of brightness)" in line


@pytest.mark.parametrize("rate", [0.085, 0.1, 0.115])
def test_robustness_does_not_tell_what_intervals_leave_open(rate: float):
    (line,) = robustness_answers([result(*clean(), *at(-10, rate, 0.89))], NAMES)
    assert line.startswith(
        "plate, brightness: too few images to tell whether the frozen threshold holds for a "
    )


def test_a_line_that_stands_still_on_clean_images_already_is_no_light_s_fault():
    (line,) = robustness_answers([result(*clean(0.5), *at(-10, 0.5, 0.89))], NAMES)
    assert line == (
        "plate: false alarms of a stop the line on clean images already: 50.0% (48.0%–52.0%)."
    )


def test_a_threshold_that_finds_nothing_gets_no_praise_for_raising_no_alarm():
    levels = [
        level(0.9, 0.0, recall, variant=variant, perturbation=perturbation, level=severity)
        for perturbation, severity in (("clean", 0), ("blur", 2))
        for variant, recall in (("frozen", 0.02), ("reset", 0.6))
    ]
    blind, holds = robustness_answers([result(*levels)], NAMES)
    assert "a (2% (0%–4%); 60% (58%–62%) with a threshold set on good test images)" in blind
    assert "AUROC loses nothing" in holds


def test_a_threshold_set_anew_on_too_few_good_images_is_called_an_estimate():
    images = {"train": 100, "test_good": 80, "test_good_groups": 36, "test_defective": 20}
    studied = result(*clean()) | {"images": images, "study": "robustness"}
    for each in studied["levels"]:
        each["repeats"][0]["set_on"] = 18
    line = images_line(studied)
    assert line.startswith("100 defect-free images to train, 80 (in 36 groups) good and 20 def")
    assert "rests on as few as 18 independent good images and is an estimate: 5% takes 19." in line
    assert "5% takes 59." in images_line(studied | {"rule": "tolerance"})
    for each in studied["levels"]:
        each["repeats"][0]["set_on"] = 19
    assert "estimate" not in images_line(studied)
    assert "estimate" in images_line(studied | {"rule": "tolerance"})


def test_the_section_shows_answers_plot_and_tables_of_each_category():
    found = study_section({"training_size": [ENTRY]})
    (study,) = found["studies"]
    assert "50 images are enough" in study["answers"][0]
    (category,) = study["categories"]
    assert category["name"] == "plate"
    assert str(category["drawing"]).startswith("<svg")
    auroc, shares = category["tables"]
    assert auroc.texts["a net"][:2] == ["0.800 (0.780–0.820)", "0.940 (0.920–0.960)"]
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
    assert "&lt;b&gt;plate, a: 50 images are enough" in page
    assert "<b>plate" not in page
    assert '<a href="parts_studies.md">studies</a>' in page
