"""Rates at a threshold: of single images, of groups, over categories, and what follows from them.

Groups are of unequal size, and the rate differs from group to group in three ways that no interval
supposes: by a beta distribution, by a normal one of a latent score, or a few groups are bad and
the others alike.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy import stats
from simulated import USED, Interval, Row, Tally, quicker

from defectbench.evaluation.cautions import against_promise
from defectbench.evaluation.metric_intervals import confusion_intervals
from defectbench.evaluation.operating_points import judged, together
from defectbench.evaluation.prevalence import on_the_line
from defectbench.evaluation.promises import Asked, promise
from defectbench.evaluation.rates import Z, rate_interval, share_interval
from defectbench.records import Scores

RATE = "rate of images called defective"
OF_GROUPS = "rate of images called defective, images in groups"
UNWARNED = "no warning of more or fewer false alarms than expected, of like images"
SHARE = 0.01
"""Of the parts of a line that are defective."""


def rows(trials: int) -> Iterator[Row]:
    """Of all figures here."""
    with quicker():
        yield from single_rate_rows()
        yield from group_rows(trials)
        yield from together_rows(trials)
        yield from difference_rows(trials)
        yield from line_rows(trials)
        yield from flag_rows(trials)


def single_rate_rows() -> Iterator[Row]:
    """Of independent images, exact: every outcome with its probability."""
    for truth in (0.01, 0.05, 0.2, 0.5):
        for n in (10, 20, 60, 300):
            hits = np.arange(n + 1)
            chance = stats.binom.pmf(hits, n, truth)
            rate = hits / n
            width = Z * (rate * (1 - rate) / n) ** 0.5
            limits = {
                "normal approximation": (rate - width, rate + width),
                USED: tuple(np.array([rate_interval(each, n) for each in rate]).T),
            }
            for method, (low, high) in limits.items():
                kept = chance[(low <= truth) & (truth <= high)].sum()
                mean = (chance * (high - low)).sum()
                yield Row(RATE, f"{truth:.0%} of {n} images", method, 0.95, kept, mean, 1, 0)


def group_sizes(n_groups: int, largest: int = 60) -> np.ndarray:
    """Images of each group: as different as they are where nobody plans them."""
    return np.sort(np.random.default_rng(n_groups).integers(1, largest + 1, n_groups))


class Groups(NamedTuple):
    """How the rate differs from group to group."""

    name: str
    rates: Callable[[np.random.Generator, float, int], np.ndarray]


def _beta(correlation: float) -> Groups:
    def rates(rng: np.random.Generator, rate: float, n: int) -> np.ndarray:
        if rate in (0, 1):
            return np.full(n, rate)
        both = 1 / correlation - 1
        return rng.beta(rate * both, (1 - rate) * both, n)

    return Groups(f"correlation {correlation}", rates)


def _latent(correlation: float) -> Groups:
    def rates(rng: np.random.Generator, rate: float, n: int) -> np.ndarray:
        shift = stats.norm.ppf(rate) + correlation**0.5 * rng.normal(size=n)
        return stats.norm.cdf(shift / (1 - correlation) ** 0.5)

    return Groups(f"latent correlation {correlation}", rates)


def _alike(rng: np.random.Generator, rate: float, n: int) -> np.ndarray:
    return np.full(n, rate)


def _all_or_none(rng: np.random.Generator, rate: float, n: int) -> np.ndarray:
    return (rng.random(n) < rate).astype(float)


def _some_bad(rng: np.random.Generator, rate: float, n: int) -> np.ndarray:
    """A fifth of the groups has four times the rate of all, the others what is left."""
    bad = min(4 * rate, 0.9)
    return np.where(rng.random(n) < 0.2, bad, (rate - 0.2 * bad) / 0.8)


WAYS = (
    Groups("groups alike", _alike),
    _beta(0.05),
    _beta(0.3),
    _beta(0.9),
    _latent(0.3),
    _latent(0.8),
    Groups("a fifth of the groups bad", _some_bad),
    Groups("all of a group or none", _all_or_none),
)


def called(rng: np.random.Generator, sizes: np.ndarray, way: Groups, rate: float) -> np.ndarray:
    """Which images are called defective; the mean rate over all groups is the one given."""
    return rng.random(sizes.sum()) < np.repeat(way.rates(rng, rate, len(sizes)), sizes)


def names(sizes: np.ndarray) -> np.ndarray:
    """Names of the images' groups."""
    return np.repeat(np.arange(len(sizes)), sizes).astype(str)


def group_rows(trials: int) -> Iterator[Row]:
    """Of images in groups."""
    for n_groups in (5, 9, 13, 40):
        sizes = group_sizes(n_groups)
        groups = names(sizes)
        for way in WAYS:
            for rate in (0.01, 0.05, 0.2, 0.6):
                tally = Tally(rate)
                rng = np.random.default_rng(n_groups)
                for _ in range(trials):
                    hits = called(rng, sizes, way, rate)
                    tally.add(
                        {
                            "as if independent": rate_interval(hits.mean(), len(hits)),
                            "before": before(hits, groups),
                            USED: share_interval(hits, groups),
                        }
                    )
                case = f"{rate:.0%}, {n_groups} groups of 1 to 60, {way.name}"
                yield from tally.rows(OF_GROUPS, case)


def before(hits: np.ndarray, groups: np.ndarray) -> Interval:
    """By the variance between groups alone; by their number where all images agree."""
    counts, sizes = (np.bincount(groups.astype(int), each) for each in (hits, np.ones(len(hits))))
    n_groups, rate = len(sizes), hits.mean()
    variance = n_groups / (n_groups - 1) * ((counts - rate * sizes) ** 2).sum() / len(hits) ** 2
    if rate in (0, 1) or variance == 0:
        return rate_interval(rate, n_groups)
    few = (Z / stats.t.ppf(0.975, n_groups - 1)) ** 2
    return rate_interval(rate, np.clip(few * rate * (1 - rate) / variance, 1, len(hits)))


def test_set(hits: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> Scores:
    """Test images that a threshold of 1 calls defective or not."""
    kinds = np.where(labels == 1, "defect", "good")
    return Scores([""] * len(hits), labels, kinds, groups, hits.astype(float))


def together_rows(trials: int) -> Iterator[Row]:
    """Of escapes and false alarms over all categories, each with rates and groups of its own."""
    for n_categories in (2, 5, 15):
        for grouped in (False, True):
            rng = np.random.default_rng(n_categories)
            alarms = rng.uniform(0, 0.1, n_categories)
            sizes = [
                group_sizes(9 + 4 * (k % 2), 40) if grouped else np.ones(20 + 40 * (k % 3), int)
                for k in range(n_categories)
            ]
            images = [each.sum() for each in sizes]
            tally = Tally(float(np.average(alarms, weights=images)))
            for _ in range(trials):
                points = []
                for own, rate in zip(sizes, alarms, strict=True):
                    hits = called(rng, own, _beta(0.3) if grouped else WAYS[0], rate)
                    groups = names(own) if grouped else np.full(len(hits), "")
                    points.append(judged(test_set(hits, np.zeros(len(hits)), groups), 1))
                tally.add({USED: together(points)["false_alarm_rate_interval"]})
            kind = "9 and 13 groups each" if grouped else "20 to 100 independent images each"
            case = f"{n_categories} categories, {kind}"
            yield from tally.rows("escapes and false alarms over all categories", case)


CELLS = ((20, 60), (60, 60), (10, 10), (60, 12))
"""Good and defective images of a category."""


def both_kinds(
    rng: np.random.Generator, sizes: tuple[int, int], rates: tuple[float, float], grouped: bool
) -> Scores:
    """Test images of which shares are called defective; grouped, in tens of one part."""
    each = [np.full(n // 10, 10) if grouped else np.ones(n, int) for n in sizes]
    way = _beta(0.5) if grouped else WAYS[0]
    hits = np.concatenate(
        [called(rng, own, way, rate) for own, rate in zip(each, rates, strict=True)]
    )
    labels = np.repeat([0, 1], sizes)
    groups = np.char.add(np.where(labels == 1, "d", "g"), np.concatenate(list(map(names, each))))
    return test_set(hits, labels, groups if grouped else np.full(len(hits), ""))


def cases() -> Iterator[tuple[str, tuple[int, int], tuple[float, float], bool]]:
    """Sizes and rates of false alarms and of defects found, with their name."""
    for rates in ((0.05, 0.95), (0.05, 0.3), (0.3, 0.3), (0.0, 1.0), (0.01, 0.7)):
        for sizes in CELLS:
            yield "{} good and {} defective images".format(*sizes), sizes, rates, False
        sizes = (130, 90)
        yield "13 groups of ten good and 9 of ten defective images", sizes, rates, True


def difference_rows(trials: int) -> Iterator[Row]:
    """Of recall minus false-positive rate, which says whether a threshold is worth anything."""
    for name, sizes, rates, grouped in cases():
        tally, rng = Tally(rates[1] - rates[0]), np.random.default_rng(1)
        for _ in range(trials):
            test = both_kinds(rng, sizes, rates, grouped)
            found = confusion_intervals(test.labels, test.scores >= 1, test.groups)
            tally.add({USED: tuple(2 * end - 1 for end in found["balanced_accuracy"])})
        case = f"{rates[1]:.0%} − {rates[0]:.0%}, {name}"
        yield from tally.rows("recall − false-positive rate", case)


def line_rows(trials: int) -> Iterator[Row]:
    """Of what a threshold does where one part in a hundred is defective."""
    for name, sizes, (alarms, found), grouped in cases():
        rejected = SHARE * found + (1 - SHARE) * alarms
        truths = {
            "rejected_rate": ("parts rejected, of all parts of a line", rejected),
            "defective_rate": ("really defective, of the parts rejected", SHARE * found / rejected),
        }
        tallies = {key: Tally(truth) for key, (_, truth) in truths.items()}
        rng = np.random.default_rng(2)
        for _ in range(trials):
            point = judged(both_kinds(rng, sizes, (alarms, found), grouped), 1)
            line = on_the_line(point, SHARE)
            for key, tally in tallies.items():
                tally.add({USED: line[f"{key}_interval"]})
        for key, tally in tallies.items():
            case = f"{found:.0%} found, {alarms:.0%} false alarms, {name}"
            yield from tally.rows(truths[key][0], case)


class Parts(NamedTuple):
    """Good images that set a threshold, and new ones: how many groups of how many images."""

    name: str
    setting: np.ndarray
    new: np.ndarray


def flag_rows(trials: int) -> Iterator[Row]:
    """That a rate is not called incompatible with what the threshold lets expect, where it is.

    All images are of one kind: those that set the threshold and those that it judges.
    """
    single = np.ones(1, int)
    parts = [
        *(Parts(f"{n} independent images", single.repeat(n), single.repeat(60)) for n in (20, 59)),
        Parts("300 independent images", single.repeat(300), single.repeat(300)),
        *(Parts(f"{n} groups of 1 to 60", group_sizes(n), group_sizes(n + 1)) for n in (9, 13, 40)),
    ]
    for each in parts:
        for alike in (0.0, 0.5, 0.9) if len(each.setting) != each.setting.sum() else (0.0,):
            for rule in ("average", "tolerance"):
                said = _flags(each, alike, rule, trials)
                case = f"{each.name} set the threshold by {rule}, correlation {alike}"
                kept = said.count(None) / trials
                yield Row(UNWARNED, case, USED, 0.95, kept, np.nan, 1, trials)


def _flags(parts: Parts, alike: float, rule: str, trials: int) -> list[str | None]:
    rng = np.random.default_rng(3)

    def scores(sizes: np.ndarray) -> np.ndarray:
        shared = np.repeat(rng.normal(size=len(sizes)), sizes)
        return np.exp(alike**0.5 * shared + (1 - alike) ** 0.5 * rng.normal(size=sizes.sum()))

    said = []
    for _ in range(trials):
        promised = promise(scores(parts.setting), names(parts.setting), Asked(0.05, rule))
        new = scores(parts.new)
        test = test_set(new, np.zeros(len(new)), names(parts.new))
        said.append(against_promise(test, promised))
    return said
