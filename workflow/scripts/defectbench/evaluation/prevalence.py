"""What a threshold does where few parts are defective, and what so many test parts can show.

A test set holds far more defects than a line does: of the parts that a line rejects, most may be
good, however few good ones are rejected.
"""

from collections.abc import Mapping
from math import ceil, log, log1p
from typing import Any

from defectbench.evaluation.intervals import mean_interval, ratio_interval
from defectbench.evaluation.rates import LEVEL, Interval, independent_size, rate_interval
from defectbench.records import Scores

WANTED = (0.01, 0.001)
"""Rates of mistakes that people ask for, at most; the page says how many test parts show them."""


def on_the_line(
    point: Mapping[str, Any], share: float | None
) -> dict[str, float | Interval | None] | None:
    """What a threshold does to parts of which a share is defective.

    Parameters
    ----------
    point
        With ``escape_rate``, ``false_alarm_rate`` and the ``…_interval`` of both.
    share
        Of the parts that is defective, above 0 and below 1; None if nobody says.

    Returns
    -------
    dict or None
        ``rejected_rate`` of all parts; ``defective_rate`` of those rejected, None where none is;
        ``escape_rate`` of all parts that are defective and pass; ``…_interval`` of each, 95 %.
        None without a share, a threshold, or test images of both kinds.
    """
    escapes, alarms = point["escape_rate"], point["false_alarm_rate"]
    if share is None or escapes is None or alarms is None:
        return None
    found = 1 - escapes
    fewest_escapes, most_escapes = point["escape_rate_interval"]
    limits = (1 - most_escapes, 1 - fewest_escapes), point["false_alarm_rate_interval"]
    # a share of the rejected parts follows from how many good ones come to a defective one
    odds = (1 - share) / share
    fewest, most = ratio_interval((alarms, found), limits[::-1])
    rejected = share * found + (1 - share) * alarms
    return {
        "rejected_rate": rejected,
        "rejected_rate_interval": mean_interval([found, alarms], limits, [share, 1 - share]),
        "defective_rate": share * found / rejected if rejected else None,
        "defective_rate_interval": (1 / (1 + odds * most), 1 / (1 + odds * fewest)),
        "escape_rate": share * escapes,
        "escape_rate_interval": (share * fewest_escapes, share * most_escapes),
    }


def shown_by_test_parts(test: Scores) -> dict[str, dict[str, float]]:
    """What the test parts of a category can show at best, where no mistake is made on them.

    Returns
    -------
    dict
        For ``good`` and ``defective``: ``images``; ``independent``, the number of independent
        images that would show as much; ``shown``: the upper end of the 95 % interval of a rate of
        mistakes where there is none. Without the classes of which there is no image.
    """
    found = {}
    for label, name in enumerate(("good", "defective")):
        groups = test.groups[test.labels == label]
        if len(groups):
            of = independent_size(groups)
            shown = rate_interval(0, of)[1]
            found[name] = {"images": len(groups), "independent": of, "shown": shown}
    return found


def parts_to_show(rate: float) -> int:
    """Independent test parts, none of them mistaken, that show a rate of mistakes of at most so."""
    return ceil(log((1 - LEVEL) / 2) / log1p(-rate))
