"""Whether a detector can be used on a category: what its own threshold does, against limits."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from defectbench.evaluation.rates import rate_interval

NOT_YET, NO_PROMISE, AS_IT_IS, WITHIN, UNKNOWN = (
    "not_yet",
    "no_promise",
    "as_it_is",
    "within",
    "unknown",
)
RATES = {"escapes": "escape_rate", "false_alarms": "false_alarm_rate"}
"""By the name of a limit: the figure that it limits."""


class Usability(NamedTuple):
    """A verdict, and what it rests on.

    Attributes
    ----------
    verdict
        `NOT_YET`: an interval lies wholly beyond its limit; else `NO_PROMISE`: the threshold is an
        estimate; else `AS_IT_IS`: both intervals lie within; else `WITHIN`: both figures do; else
        `UNKNOWN`.
    beyond
        Names of the limits beyond which an interval lies wholly.
    uncertain
        Of those that an interval reaches beyond in part, or of which there is no figure.
    parts
        By the same names, from `parts_to_tell`.
    """

    verdict: str
    beyond: list[str]
    uncertain: list[str]
    parts: dict[str, int | None]


MOST_PARTS = 100_000
"""Test parts that anyone might collect."""


def usability(point: Mapping[str, Any], limits: Mapping[str, float]) -> Usability:
    """The verdict on a detector at its own threshold.

    Parameters
    ----------
    point
        From `operating_points.operating_point`.
    limits
        ``escapes`` and ``false_alarms``: rates above 0 and below 1, at most.
    """
    ends = {name: point[f"{rate}_interval"] for name, rate in RATES.items()}
    beyond = [name for name in RATES if ends[name] and ends[name][0] > limits[name]]
    uncertain = [
        name
        for name in RATES
        if name not in beyond and (ends[name] is None or ends[name][1] > limits[name])
    ]
    parts = {name: parts_to_tell(point[RATES[name]] or 0.0, limits[name]) for name in uncertain}
    return Usability(_verdict(point, limits, beyond, uncertain), beyond, uncertain, parts)


def parts_to_tell(rate: float, limit: float) -> int | None:
    """Independent test parts whose interval lies on one side of a limit if the rate stays.

    Of a rate of 0 at a limit of 5 % that is 72. None where even `MOST_PARTS` leave it open.
    """

    def told(count: int) -> bool:
        low, high = rate_interval(rate, count)
        return low > limit if rate > limit else high <= limit

    most = 1
    while not told(most):
        most *= 2
        if most > MOST_PARTS:
            return None
    fewest = most // 2
    while most - fewest > 1:
        middle = (fewest + most) // 2
        fewest, most = (fewest, middle) if told(middle) else (middle, most)
    return most


def _verdict(
    point: Mapping[str, Any],
    limits: Mapping[str, float],
    beyond: list[str],
    uncertain: list[str],
) -> str:
    if beyond:
        return NOT_YET
    if point["threshold"] is None or point["estimate"]:
        return NO_PROMISE
    if not uncertain:
        return AS_IT_IS
    figures = {name: point[rate] for name, rate in RATES.items()}
    if any(value is None or value > limits[name] for name, value in figures.items()):
        return UNKNOWN
    return WITHIN
