"""New images compared with those that a detector's threshold comes from.

Of a thousand days without a change no more than `ALARMS` · 1,000 are to name a difference, however
many images a day has. So every test knows that the images behind the threshold are a sample too,
all tests share one budget of errors, images in groups count as groups, and a difference has to be
large enough to matter.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from defectbench.evaluation.photographs import ImageStatistics
from defectbench.evaluation.promises import FOLDS
from defectbench.evaluation.rates import rate_interval
from defectbench.evaluation.thresholds import ROUNDING
from defectbench.evaluation.two_samples import (
    beta_binomial_tail,
    distance_p_value,
    kolmogorov_smirnov,
)

LIGHT = ("brightness", "sharpness")
"""Figures of an image that spread and are compared by their distribution."""

ALARMS = 0.01
TESTS = 2 + len(LIGHT) + len(ImageStatistics._fields)
SIGNIFICANT = ALARMS / 2 / TESTS
"""p-value below which one test finds a difference, by Bonferroni: the share above the threshold,
the scores, their light, and each figure's range.

Half of the budget is kept back: scores that were held out one at a time come from detectors of
nearly the same images and depend on each other, so that with 20 training images the test of scores
errs five times as often as it says (tests/bench/coverage/drift.py)."""

FEWEST = 20
"""Images below which nothing is concluded."""

# Smaller differences are real where there are many images, and change no decision.
TIMES = 2
"""Above the threshold: as many images as this times what is to be expected of good ones."""
DISTANCE = 0.2
"""Of distribution functions: one image in five lies elsewhere, half a standard deviation of a
normal distribution. It also covers held-out scores that are on a slightly other scale than new
ones, by detectors that were fitted on fewer images."""
LIGHTER = 0.02
"""Of mean brightness and sharpness, and of the width of their range: a fifth of the change
at which one in six good bottles, and not one in twenty, was called defective by FRE
(docs/deployment.md)."""
OUTSIDE = 0.05
"""Share of images outside of a range."""

EXPORTED = {"scores": "held-out good images", "ranges": "the training images"}
CALIBRATED = dict.fromkeys(EXPORTED, "the good parts of the calibration")
"""What new images are compared with: `same_world`'s ``compared_with``."""


class _Both(NamedTuple):
    """New images and those behind the threshold."""

    total: int
    alike: float  # new images that count as one
    known: Mapping[str, Any]  # from `photographs.photographed`
    behind: str  # what they are called

    @property
    def sizes(self) -> tuple[float, float]:
        """Independent images among the new ones and those behind the threshold."""
        return self.total / self.alike, self.known["independent"]

    def tail(self, hits: int, a: float, b: float) -> float:
        """p-value of a number of new images, those that are alike counted as one."""
        of = max(int(self.total // self.alike), 1)
        return beta_binomial_tail(min(int(hits // self.alike), of), of, a, max(b, ROUNDING))


def same_world(
    scores: Sequence[float],
    expectation: Mapping[str, Any],
    statistics: Sequence[ImageStatistics],
    metadata: Mapping[str, Any],
    alike: float | None = None,
) -> dict[str, Any]:
    """Compare new images with those that the detector's threshold comes from.

    Parameters
    ----------
    scores, statistics
        Of the new images.
    expectation
        Of the threshold: its ``value``, ``false_positive_rate`` that was asked for, ``rate_range``.
    metadata
        Of the detector: ``held_out_scores`` of good images, and ``training_images``, from
        `photographed`; of a calibrated one ``calibration`` with the ``statistics`` of its parts.
    alike
        New images that count as one; default: as many as of those behind the threshold.

    Returns
    -------
    dict
        ``above``: count, share, interval, rate, rate_range, the rate ``expected`` of good images,
        p_value; ``scores``: statistic and p_value of their distribution; ``light``: the same of
        brightness and sharpness, and their ``means``, of the new images and the others, where the
        detector knows more than their range; ``outside``: per figure, the count of images outside
        the range of those compared with; ``differences``: sentences, empty if nothing differs;
        ``advice``; ``compared_with``: whose ``scores`` and whose ``ranges`` these are;
        ``independent``: as how many images the new ones count.
    """
    calibration = metadata.get("calibration")
    known = calibration["statistics"] if calibration else metadata["training_images"]
    compared_with = CALIBRATED if calibration else EXPORTED
    alike = known["images"] / known["independent"] if alike is None else alike
    both = _Both(len(scores), alike, known, compared_with["ranges"])
    held_out = np.asarray(metadata["held_out_scores"])
    above = _above(np.asarray(scores), held_out, expectation, both)
    distance, p_value = kolmogorov_smirnov(scores, held_out, both.sizes)
    columns = dict(zip(ImageStatistics._fields, np.asarray(statistics).T, strict=True))
    light = {name: _light(columns[name], known[name], both) for name in LIGHT}
    outside = {name: _outside(name, values, known[name]) for name, values in columns.items()}
    found = [
        *_above_sentences(above),
        *_score_sentences(distance, p_value, expectation, compared_with["scores"]),
        *_light_sentences(light, both.behind),
        *_outside_sentences(outside, both),
    ]
    told = both.total >= FEWEST and distance_p_value(1.0, *both.sizes) < SIGNIFICANT
    differences = found if told else []
    return {
        "above": above,
        "scores": {"statistic": distance, "p_value": p_value},
        "light": light,
        "outside": outside,
        "differences": differences,
        "advice": _advice(above["count"], differences) if told else _too_few(both),
        "compared_with": compared_with,
        "independent": both.sizes[0],
    }


def _above(
    scores: np.ndarray, held_out: np.ndarray, expectation: Mapping[str, Any], both: _Both
) -> dict[str, Any]:
    """How many images reach the threshold, and whether good ones may."""
    count = int((scores >= expectation["value"]).sum())
    reach = float((held_out >= expectation["value"]).mean()) * both.known["independent"]
    a, b = reach + 1, both.known["independent"] - reach
    share = count / both.total
    return {
        "count": count,
        "share": share,
        "interval": rate_interval(share, both.sizes[0]),
        "rate": expectation["false_positive_rate"],
        "rate_range": expectation["rate_range"],
        "expected": a / (a + b),
        "p_value": both.tail(count, a, b),
    }


def _above_sentences(above: Mapping[str, Any]) -> list[str]:
    if above["p_value"] >= SIGNIFICANT or above["share"] < TIMES * above["expected"]:
        return []
    return [
        f"{above['share']:.1%} of the images are above the threshold, and of good ones "
        f"{above['expected']:.1%} are to be expected ({above['rate']:.1%} asked): defects, or "
        "another world"
    ]


def _score_sentences(
    distance: float, p_value: float, expectation: Mapping[str, Any], behind: str
) -> list[str]:
    """Nothing of scores that were held out in few folds, which are on a scale of their own."""
    of_folds = expectation.get("estimate") == FOLDS
    if of_folds or p_value >= SIGNIFICANT or distance < DISTANCE:
        return []
    return [f"the scores are not distributed as those of {behind}"]


def _light(values: np.ndarray, known: Sequence[float], both: _Both) -> dict[str, Any]:
    distance, p_value = kolmogorov_smirnov(values, known, both.sizes)
    means = [float(np.mean(values)), float(np.mean(known))]
    return {"statistic": distance, "p_value": p_value, "means": means}


def _light_sentences(light: Mapping[str, Mapping[str, Any]], behind: str) -> list[str]:
    found = []
    for name, each in light.items():
        new, before = each["means"]
        large = each["statistic"] >= DISTANCE and abs(new - before) >= LIGHTER * before
        if large and each["p_value"] < SIGNIFICANT:
            found.append(f"{name}: {new:.3g} on average, and {before:.3g} that of {behind}")
    return found


def _outside(name: str, values: np.ndarray, known: Sequence[float]) -> int:
    """How many values lie outside of the range of those known."""
    margin = LIGHTER if name in LIGHT else 0
    low, high = known[0] * (1 - margin), known[-1] * (1 + margin)
    return int(((values < low) | (values > high)).sum())


def _outside_sentences(outside: Mapping[str, int], both: _Both) -> list[str]:
    found = []
    for name, count in outside.items():
        known = both.known[name]
        # of images that were all of one size, any other size is a change and no chance
        constant = name not in LIGHT and known[0] == known[-1]
        large = count >= OUTSIDE * both.total
        unlikely = both.tail(count, 2, both.known["independent"] - 1) < SIGNIFICANT
        if count and (constant or (large and unlikely)):
            found.append(
                f"{name}: {count} of {both.total} images are outside the range of {both.behind}"
            )
    return found


def _too_few(both: _Both) -> str:
    words = "too few images to tell whether anything has changed"
    if both.total < FEWEST:
        return f"{words}: {both.total} of {FEWEST}"
    new, known = both.sizes
    return (
        f"{words}: {both.total} new ones count as {new:.3g}, and {both.known['images']} behind the "
        f"threshold as {known:.3g}, for images of one part are alike"
    )


def _advice(above: int, differences: list[str]) -> str:
    if not differences:
        return "nothing speaks against the threshold: no difference was found"
    recalibrate = (
        "set the threshold on confirmed good parts of today (make calibrate), or add them to the "
        "training images and export the detector again"
    )
    if not above:
        return (
            "no image reaches the threshold, and a defect might not either: if parts, light or "
            f"lens have changed, recalibrate: {recalibrate}"
        )
    return (
        "look at the images that were called defective; if most are good parts, recalibrate: "
        f"{recalibrate}"
    )
