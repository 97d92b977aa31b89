"""What would help most on a category, each with the figures that support it; nothing else."""

from collections.abc import Mapping
from typing import Any

from defectbench.evaluation.promises import CALIBRATION, FEW, fewest, outlook
from defectbench.evaluation.usability import AS_IT_IS, NOT_YET, RATES, Usability

CALIBRATE, GOOD_PARTS, WHO_SETS, RATE, FINER, DETECTOR, TEST_PARTS = (
    "calibrate",
    "good_parts",
    "who_sets",
    "rate",
    "finer",
    "detector",
    "test_parts",
)
GAIN = 0.05
"""Share of the defects; a lower threshold always finds some more, and fewer change no decision."""

MORE_ABOVE = 100
"""Up to so many images above a threshold it is looked for a range that keeps a limit."""


def advice(
    cell: Mapping[str, Any], usable: Usability, limits: Mapping[str, float]
) -> list[dict[str, Any]]:
    """What would help, the first most: where too many slip through, good parts come last but one.

    Parameters
    ----------
    cell
        Of a decision.
    usable
        The verdict on it.
    limits
        As for `usability.usability`.

    Returns
    -------
    list of dict
        Each with ``what``. `CALIBRATE`: good test parts are rejected more or less often than the
        held-out ones let expect (``why``: ``above``, ``below``), or held-out scores promise nothing
        (``estimate``); ``need`` good parts that train nothing set a threshold. `GOOD_PARTS`: the
        threshold is an estimate, or the share of good parts that it rejects may lie beyond the
        limit, for ``have`` independent ones; from ``need`` on it does not. `WHO_SETS`: without
        those that set the threshold ``without`` is found instead of ``found``. `RATE`: the
        threshold of another rate, ``asked``, keeps both limits on these test images, this one does
        not. `FINER`: small defects, up to ``pixels``, are found less often than those from
        ``large`` pixels on. `DETECTOR`: no threshold of the rate asked keeps the limit of escapes.
        `TEST_PARTS`: ``parts`` would tell, see `usability.parts_to_tell`. Nothing where the
        detector is usable as it is.
    """
    if usable.verdict == AS_IT_IS:
        return []
    good_parts = [_good_parts(cell["honest"], limits["false_alarms"])]
    found = [
        _who_sets(cell, limits["false_alarms"]),
        _rate(cell, limits),
        _finer(cell["found_by_size"]),
        _detector(cell["at_rate"], limits["escapes"]),
    ]
    found = found + good_parts if "escapes" in usable.beyond else good_parts + found
    found = [_calibrate(cell["honest"]), *found, _test_parts(usable)]
    return [each for each in found if each is not None]


def _calibrate(point: Mapping[str, Any]) -> dict[str, Any] | None:
    why = "estimate" if point["estimate"] not in ("", FEW) else point["against_promise"]
    need = fewest(0, point["asked"], point["rule"])
    if why is None or need is None or point["folds"] == CALIBRATION:
        return None
    return {"what": CALIBRATE, "why": why, "need": need}


def _good_parts(point: Mapping[str, Any], limit: float) -> dict[str, Any] | None:
    asked, rule = point["asked"], point["rule"]
    if point["estimate"] == FEW:
        need = fewest(0, asked, rule)
    elif point["estimate"] or point["range"] is None or point["range"][1] <= limit:
        return None
    else:
        counts = (fewest(above, asked, rule) for above in range(MORE_ABOVE))
        kept = (n for k, n in enumerate(counts) if n and outlook(k, n)["range"][1] <= limit)
        need = next(kept, None)
    if need is None or need <= point["groups"]:
        return None
    return {"what": GOOD_PARTS, "have": point["groups"], "need": need}


def _who_sets(cell: Mapping[str, Any], limit: float) -> dict[str, Any] | None:
    """Where more is found without them, and no more good parts are rejected than may be."""
    point, without = cell["honest"], cell["set_by"]
    if not without or cell["threshold_range"]:  # of several seeds each has others
        return None
    found, alarms = point["found_rate"], without["false_alarm_rate"]
    if found is None or alarms is None or alarms > limit or without["found_rate"] < found + GAIN:
        return None
    return {
        "what": WHO_SETS,
        "names": without["names"],
        "found": found,
        "without": without["found_rate"],
        "false_alarm_rate": alarms,
    }


def _rate(cell: Mapping[str, Any], limits: Mapping[str, float]) -> dict[str, Any] | None:
    """The rate next to the one asked whose threshold keeps the limits, where its own does not."""

    def keeps(point: Mapping[str, Any]) -> bool:
        rates = {name: point[rate] for name, rate in RATES.items()}
        return all(rate is not None and rate <= limits[name] for name, rate in rates.items())

    own = cell["honest"]
    others = [
        point
        for point in cell["points"]
        if point["rule"] == own["rule"] and not point["estimate"] and keeps(point)
    ]
    if keeps(own) or not others or None in (own["escape_rate"], own["false_alarm_rate"]):
        return None
    other = min(others, key=lambda point: abs(point["asked"] - own["asked"]))
    names = ("asked", *(f"{rate}{end}" for rate in RATES.values() for end in ("", "_interval")))
    return {"what": RATE} | {name: other[name] for name in names}


def _finer(sizes: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Where the smallest class of defects is clearly found less often than the largest."""
    if sizes is None:
        return None
    small, large = sizes["classes"][0], sizes["classes"][-1]
    if small["found_rate_interval"][1] >= large["found_rate_interval"][0]:
        return None
    rates = (each["found"] / each["images"] for each in (small, large))
    ends = {"pixels": small["pixels"][1], "large": large["pixels"][0]}
    return {"what": FINER, **ends} | dict(zip(("found", "found_large"), rates, strict=True))


def _detector(at_rate: Mapping[str, Any], limit: float) -> dict[str, Any] | None:
    ends = at_rate["escape_rate_interval"]
    if ends is None or ends[0] <= limit:
        return None
    names = ("escape_rate", "escape_rate_interval")
    return {"what": DETECTOR} | {name: at_rate[name] for name in names}


def _test_parts(usable: Usability) -> dict[str, Any] | None:
    if usable.verdict == NOT_YET or not usable.parts:
        return None
    return {"what": TEST_PARTS, "parts": usable.parts}
