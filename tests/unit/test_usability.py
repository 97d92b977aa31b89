"""Whether a detector can be used, and what would help: a case for each verdict and each advice."""

import json
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml
from made_results import LIMITS, SCRIPTS

from defectbench.evaluation.advice import advice
from defectbench.evaluation.operating_points import operating_point
from defectbench.evaluation.promises import Asked, promise
from defectbench.evaluation.rates import rate_interval
from defectbench.evaluation.usability import parts_to_tell, usability
from defectbench.records import Scores
from defectbench.reports import usability_text

SCHEMA = yaml.safe_load((SCRIPTS.parent / "schemas" / "report.schema.yaml").read_text())
ADVICE = SCHEMA["properties"]["categories"]["items"]["properties"]["advice"]
ADVICE |= {"$defs": SCHEMA["$defs"]}
NOWHERE = {"escape_rate": None, "escape_rate_interval": None}


def cell(
    missed: int, alarms: int, images: int = 200, training: int = 209, **other: Any
) -> dict[str, Any]:
    """A cell of a decision: so many of the test images of either kind are judged wrongly."""
    labels = np.repeat([0, 1], images)
    scores = np.repeat([0.0, 999.0], images)
    scores[:alarms], scores[images : images + missed] = 999.0, 0.0
    test = Scores([], labels, labels, np.full(2 * images, ""), scores)
    promised = promise(np.arange(float(training)), [""] * training, Asked(0.05))
    point = operating_point(test, promised)
    return {
        "honest": point,
        "set_by": None,
        "found_by_size": None,
        "at_rate": NOWHERE,
        "points": [],
        "threshold_range": None,
        **other,
    }


def judged(made: dict[str, Any]) -> dict[str, Any]:
    """The entry of its category, as a decision has it."""
    usable = usability(made["honest"], LIMITS)
    found = advice(made, usable, LIMITS)
    jsonschema.validate(json.loads(json.dumps(found)), ADVICE)
    return {"usability": usable._asdict(), "advice": found}


@pytest.mark.parametrize(
    ("made", "verdict", "why"),
    [
        (
            cell(missed=60, alarms=2),
            "not usable yet",
            "too many defective parts slip through",
        ),
        (
            cell(missed=0, alarms=0, training=9),
            "too few good parts to promise",
            "the threshold is an estimate",
        ),
        (cell(missed=0, alarms=2), "usable as it is", ""),
        (
            cell(missed=4, alarms=2, images=100),
            "usable within limits",
            "uncertain how many defective parts slip through",
        ),
        (
            cell(missed=2, alarms=0, images=30),
            "too few images to tell",
            "uncertain how many defective parts slip through and how many good parts are rejected",
        ),
    ],
)
def test_a_verdict_compares_intervals_and_then_figures_with_the_limits(
    made: dict[str, Any], verdict: str, why: str
):
    entry = judged(made)
    assert usability_text.verdict(entry, made) == verdict
    assert usability_text.why(entry, made) == why


def test_what_a_threshold_does_stands_beside_what_it_may():
    assert usability_text.does(cell(missed=60, alarms=2)["honest"], LIMITS) == [
        "300 (237–369) of 1,000 defective parts slip through; at most 50 may",
        "10 (1–36) of 1,000 good parts are rejected; at most 100 may",
    ]


def test_an_interval_wholly_beyond_its_limit_counts_before_an_estimate():
    made = cell(missed=60, alarms=0, training=9)
    assert usability_text.verdict(judged(made), made) == "not usable yet"


def test_without_defective_images_there_are_too_few_to_tell():
    made = cell(missed=0, alarms=0)
    made["honest"] |= {"escape_rate": None, "escape_rate_interval": None}
    entry = judged(made)
    assert usability_text.verdict(entry, made) == "too few images to tell"
    assert usability_text.why(entry, made) == "uncertain how many defective parts slip through"


def test_no_detector_that_is_not_recommended_is_called_usable():
    for choice, told in (("breaks", "no detector to use"), ("none", "cannot be judged")):
        entry = {"usability": None, "verdict": choice}
        assert usability_text.verdict(entry, cell(0, 0)) == told


def helps(made: dict[str, Any]) -> list[str]:
    """What would help, in words."""
    return [usability_text.advice(made, each, LIMITS) for each in judged(made)["advice"]]


def test_so_many_test_parts_would_tell():
    """72 at 5 %: 0 of 72 has the interval 0 to 5 %."""
    assert [parts_to_tell(0, limit) for limit in (0.05, 0.10, 0.01)] == [72, 36, 368]
    assert usability(cell(0, 0, images=72)["honest"], LIMITS).verdict == "as_it_is"
    assert usability(cell(0, 0, images=71)["honest"], LIMITS).verdict == "within"
    # more mistakes than may be: so many parts would show that
    count = parts_to_tell(0.1, 0.05)
    assert rate_interval(0.1, count)[0] > 0.05 >= rate_interval(0.1, 72)[0]
    assert parts_to_tell(0.05, 0.05) is None


def test_as_many_test_parts_as_would_tell_are_asked_for():
    made = cell(missed=2, alarms=0, images=30)
    count = parts_to_tell(2 / 30, 0.05)
    assert helps(made) == [
        f"More test parts, if mistakes stay as frequent: {count} independent defective ones to "
        "show that too many slip through; 36 independent good ones to show that the limit is kept."
    ]


def test_more_good_parts_help_where_the_threshold_is_an_estimate_or_its_range_wide():
    assert helps(cell(missed=60, alarms=0, training=9)) == [
        "More good parts to train on: 19 independent ones instead of 9 support a threshold for 5 %."
    ]
    (told,) = helps(cell(missed=60, alarms=0, training=40))
    assert "independent ones instead of 40 narrow the share of good parts" in told
    made = cell(missed=60, alarms=0, training=40)
    (found,) = judged(made)["advice"]
    fewer = cell(missed=60, alarms=0, training=found["need"])
    assert fewer["honest"]["range"][1] <= LIMITS["false_alarms"]


def test_who_sets_the_threshold_is_looked_at_where_more_is_found_without_them():
    set_by = {"names": ["module37"], "found_rate": 0.9, "false_alarm_rate": 0.02}
    (told,) = helps(cell(missed=60, alarms=2, set_by=set_by))
    assert told == (
        "Look at module37: without it the threshold finds 90 % of these defects, with it 70 %, and "
        "rejects 2 % of the good parts. Leave it out if it is no part as it should be."
    )
    # a gain that changes no decision, or rejects too many good parts
    for other in ({"found_rate": 0.74}, {"false_alarm_rate": 0.3}):
        assert helps(cell(missed=60, alarms=2, set_by=set_by | other)) == []


def test_where_too_many_slip_through_good_parts_are_not_the_first_advice():
    set_by = {"names": ["a", "b"], "found_rate": 0.9, "false_alarm_rate": 0.02}
    first, second = helps(cell(missed=60, alarms=0, training=40, set_by=set_by))
    assert first.startswith("Look at a and b: without them")
    assert second.startswith("More good parts")


def test_a_finer_resolution_helps_where_small_defects_are_missed():
    small = {"pixels": [9, 40], "images": 20, "found": 4, "found_rate_interval": [0.06, 0.44]}
    large = {"pixels": [400, 900], "images": 20, "found": 19, "found_rate_interval": [0.75, 1.0]}
    sizes = {"classes": [small, large]}
    assert helps(cell(missed=60, alarms=2, found_by_size=sizes)) == [
        "A finer resolution, or tiles: of defects up to 40 px 20 % are found, of those from 400 px "
        "on 95 %."
    ]
    unclear = {"classes": [small | {"found_rate_interval": [0.06, 0.8]}, large]}
    assert helps(cell(missed=60, alarms=2, found_by_size=unclear)) == []


def test_another_detector_helps_where_no_threshold_does():
    at_rate = {"escape_rate": 0.3, "escape_rate_interval": (0.2, 0.4)}
    (told,) = helps(cell(missed=60, alarms=2, at_rate=at_rate))
    assert told.startswith("Another detector: where these good test parts set the threshold")
    unclear = at_rate | {"escape_rate_interval": (0.04, 0.4)}
    assert helps(cell(missed=60, alarms=2, at_rate=unclear)) == []


def test_without_a_threshold_it_is_said_that_there_is_none():
    made = cell(missed=0, alarms=0, training=0)
    entry = judged(made)
    assert usability_text.why(entry, made) == "there is no threshold"
    assert helps(made)[0].startswith("More good parts to train on: 19 independent ones instead")


def test_a_threshold_is_set_on_parts_as_those_tested_where_these_differ():
    assert helps(cell(missed=60, alarms=60))[0] == (
        "A threshold set on good parts as those tested (the key calibration, at least 19 "
        "independent good parts): of these test parts 30 % are rejected, more than the 2.3–8 % "
        "that were to be expected."
    )


def test_a_threshold_that_is_stricter_than_needed_is_set_anew():
    first = helps(cell(missed=60, alarms=0))[0]
    assert "of these test parts 0 % are rejected, less than" in first


def test_held_out_scores_that_promise_nothing_give_way_to_calibration_images():
    made = cell(missed=60, alarms=9)
    made["honest"] |= {"estimate": "folds", "folds": "folds"}
    assert helps(made)[0].startswith(
        "Calibration images, at least 19 independent good parts that train nothing, to set the "
        "threshold: the detectors of so few folds"
    )
    # those are there already
    made["honest"] |= {"estimate": "", "folds": "calibration", "against_promise": "above"}
    assert helps(made) == []


def test_another_rate_helps_where_its_threshold_keeps_both_limits():
    strict = cell(missed=60, alarms=4)
    laxer = cell(missed=4, alarms=12)["honest"] | {"asked": 0.1}
    too_lax = cell(missed=0, alarms=40)["honest"] | {"asked": 0.2}
    assert helps(strict | {"points": [strict["honest"], laxer, too_lax]}) == [
        "Another false_positive_rate: at the threshold for 10 %, 20 (5–50) of 1,000 of these "
        "defective parts slip through and 60 (31–102) of 1,000 good ones are rejected."
    ]
    assert helps(strict | {"points": [strict["honest"], too_lax]}) == []
    estimated = laxer | {"estimate": "few"}
    assert helps(strict | {"points": [estimated]}) == []


def test_what_is_usable_as_it_is_needs_no_advice():
    assert helps(cell(missed=0, alarms=0)) == []
