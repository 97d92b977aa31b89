"""Whether a detector can be used, and what would help most, in words."""

from collections.abc import Mapping
from typing import Any

from defectbench.evaluation.advice import (
    CALIBRATE,
    DETECTOR,
    FINER,
    GOOD_PARTS,
    RATE,
    WHO_SETS,
)
from defectbench.evaluation.cautions import why_estimated
from defectbench.evaluation.promises import CALIBRATION, FEW
from defectbench.evaluation.usability import (
    AS_IT_IS,
    NO_PROMISE,
    NOT_YET,
    RATES,
    UNKNOWN,
    WITHIN,
)
from defectbench.reports.markdown import listed, per_thousand, percent, percent_range, thousand
from defectbench.reports.size_text import pixels

NONE, UNJUDGED = "no detector to use", "cannot be judged"
SHORT = {
    NOT_YET: "not usable yet",
    AS_IT_IS: "usable as it is",
    WITHIN: "usable within limits",
    UNKNOWN: "too few images to tell",
}
KINDS = {"escapes": ("defective", "slip through"), "false_alarms": ("good", "are rejected")}


def verdict(entry: Mapping[str, Any], cell: Mapping[str, Any]) -> str:
    """A category's verdict in a few words; `NONE` or `UNJUDGED` where none is recommended."""
    found = entry["usability"]
    if found is None:
        return UNJUDGED if entry["verdict"] == "none" else NONE
    if found["verdict"] == NO_PROMISE:
        return (
            "too few good parts to promise"
            if cell["honest"]["estimate"] in (FEW, "")
            else "its threshold promises nothing"
        )
    return SHORT[found["verdict"]]


def why(entry: Mapping[str, Any], cell: Mapping[str, Any]) -> str:
    """What the verdict rests on, in a few words; empty where there is no more to say."""
    found = entry["usability"]
    if found is None or found["verdict"] == AS_IT_IS:
        return ""
    if found["verdict"] == NO_PROMISE:
        none = cell["honest"]["threshold"] is None
        return "there is no threshold" if none else "the threshold is an estimate"
    if found["verdict"] == NOT_YET:
        return listed(
            [f"too many {KINDS[name][0]} parts {KINDS[name][1]}" for name in found["beyond"]]
        )
    told = [f"how many {KINDS[name][0]} parts {KINDS[name][1]}" for name in found["uncertain"]]
    return f"uncertain {listed(told)}"


def does(point: Mapping[str, Any], limits: Mapping[str, float]) -> list[str]:
    """What a threshold does, beside what it may; a clause for each kind of test images."""
    told = []
    for name, (kind, what) in KINDS.items():
        if point[RATES[name]] is not None:
            seen, may = per_thousand(point, RATES[name]), thousand(limits[name])
            told.append(f"{seen} of 1,000 {kind} parts {what}; at most {may} may")
    return told


def advice(cell: Mapping[str, Any], found: Mapping[str, Any], limits: Mapping[str, float]) -> str:
    """What would help, with its reason; a sentence."""
    what = found["what"]
    if what == CALIBRATE:
        return _calibrate(cell["honest"], found)
    if what == RATE:
        return (
            f"Another false_positive_rate: at the threshold for {percent(found['asked'])}, "
            f"{per_thousand(found, 'escape_rate')} of 1,000 of these defective parts slip through "
            f"and {per_thousand(found, 'false_alarm_rate')} of 1,000 good ones are rejected."
        )
    if what == GOOD_PARTS:
        return _good_parts(cell["honest"], found)
    if what == WHO_SETS:
        return _who_sets(found)
    if what == FINER:
        return (
            f"A finer resolution, or tiles: of defects up to {pixels(found['pixels'])} px "
            f"{percent(found['found'])} are found, of those from {pixels(found['large'])} px on "
            f"{percent(found['found_large'])}."
        )
    if what == DETECTOR:
        return (
            "Another detector: where these good test parts set the threshold at the rate asked, "
            f"{per_thousand(found, 'escape_rate')} of 1,000 defective parts still slip through, "
            f"and {thousand(limits['escapes'])} may."
        )
    return _test_parts(cell["honest"], found["parts"], limits)


def _calibrate(point: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    kind = "groups of good parts" if point["groups"] < point["images"] else "good parts"
    if found["why"] == "estimate":
        return (
            f"Calibration images, at least {found['need']} independent {kind} that train nothing, "
            f"to set the threshold: {why_estimated(point)}."
        )
    differ = {"above": "more", "below": "less"}[found["why"]]
    return (
        "A threshold set on good parts as those tested (the key calibration, at least "
        f"{found['need']} independent {kind}): of these test parts "
        f"{percent(point['false_alarm_rate'])} are rejected, {differ} than the "
        f"{percent_range(point['range'])} that were to be expected."
    )


def _good_parts(point: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    calibrated = point["folds"] == CALIBRATION
    kind = "good parts to calibrate with" if calibrated else "good parts to train on"
    if point["groups"] < point["images"]:
        kind = f"groups of {kind}"
    more = f"More {kind}: {found['need']} independent ones instead of {found['have']}"
    if point["estimate"]:
        return f"{more} support a threshold for {percent(point['asked'])}."
    return (
        f"{more} narrow the share of good parts that the threshold may reject, now "
        f"{percent_range(point['range'])}."
    )


def _who_sets(found: Mapping[str, Any]) -> str:
    several = len(found["names"]) > 1
    them, they = (
        ("them", "they are not parts as they") if several else ("it", "it is no part as it")
    )
    return (
        f"Look at {listed(found['names'])}: without {them} the threshold finds "
        f"{percent(found['without'])} of these defects, with {them} {percent(found['found'])}, and "
        f"rejects {percent(found['false_alarm_rate'])} of the good parts. Leave {them} out if "
        f"{they} should be."
    )


def _test_parts(
    point: Mapping[str, Any], parts: Mapping[str, int | None], limits: Mapping[str, float]
) -> str:
    told = []
    for name, count in parts.items():
        kind, what = KINDS[name]
        rate = point[RATES[name]]
        if count is None:
            told.append(f"no number of {kind} ones, so close to the limit lies how many {what}")
        elif rate is None:
            told.append(f"{count:,} independent {kind} ones without a mistake")
        elif rate <= limits[name]:
            told.append(f"{count:,} independent {kind} ones to show that the limit is kept")
        else:
            told.append(f"{count:,} independent {kind} ones to show that too many {what}")
    seen = any(point[RATES[name]] is not None for name in parts)
    return f"More test parts{', if mistakes stay as frequent' * seen}: {'; '.join(told)}."
