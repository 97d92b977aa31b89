"""AUROC, AUPR, their means and differences, and metrics at a threshold, of simulated test sets."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from rates import group_sizes
from scipy import optimize, stats
from simulated import USED, Interval, Intervals, Row, Tally, quicker

from defectbench.evaluation.bootstrap import bootstrap_replicates
from defectbench.evaluation.image_metrics import average_precision, image_auroc
from defectbench.evaluation.intervals import correlation, difference_interval, mean_interval
from defectbench.evaluation.metric_intervals import confusion_intervals, ranking_intervals
from defectbench.evaluation.rates import Z

REPLICATES = 200
"""Of the bootstrap: fewer than the product draws, so that many test sets can be simulated."""

GRID = (np.arange(20_000) + 0.5) / 20_000

SIZES = ((20, 60), (60, 60), (10, 10), (60, 5))
AUROCS = (0.76, 0.95, 0.995)

Quantiles = Callable[[np.ndarray], np.ndarray]


class Scores(NamedTuple):
    """Quantile functions of the scores of either class, and what is true of them."""

    good: Quantiles
    defective: Quantiles

    @property
    def auroc(self) -> float:
        """Share of pairs in the right order, over the whole population."""
        good, defective = np.sort(self.good(GRID)), self.defective(GRID)
        below = np.searchsorted(good, defective, "left") + np.searchsorted(good, defective, "right")
        return float(below.mean() / 2 / len(GRID))

    def aupr(self, n_good: int, n_defective: int) -> float:
        """Area under the population's precision-recall curve at a ratio of classes."""
        defective = -np.sort(-self.defective(GRID))
        recall = np.arange(1, len(GRID) + 1) / len(GRID)
        false = 1 - np.searchsorted(np.sort(self.good(GRID)), defective) / len(GRID)
        return float((recall / (recall + false * n_good / n_defective)).mean())


def shapes(auroc: float) -> Iterator[tuple[str, Scores]]:
    """Distributions of scores with that AUROC: a textbook's, a skewed one, one missed type."""
    normal = stats.norm.ppf

    def lognormal(u: np.ndarray) -> np.ndarray:
        return np.exp(0.7 * normal(u))

    def missed(u: np.ndarray, share: float) -> np.ndarray:
        """A share of the defects looks like good images; the others are far away."""
        return np.where(u < share, normal(np.clip(u / share, 0, 1)), 50 + u)

    families: dict[str, tuple[Quantiles, Callable, tuple[float, float]]] = {
        "binormal": (normal, lambda u, shift: normal(u) + shift, (0, 20)),
        "skewed": (lognormal, lambda u, shift: lognormal(u) + shift, (0, 60)),
        "a type missed": (normal, missed, (1e-6, 1)),
    }
    for name, (good, family, bracket) in families.items():

        def excess(x: float, good: Quantiles = good, family: Callable = family) -> float:
            return Scores(good, lambda u: family(u, x)).auroc - auroc

        x = optimize.brentq(excess, *bracket)
        yield name, Scores(good, lambda u, family=family, x=x: family(u, x))


def separate() -> Scores:
    """Scores of classes that never overlap."""
    return Scores(lambda u: u, lambda u: 2 + u)


class TestSet(NamedTuple):
    """Labels, groups, and places (0 to 1) of images in their class's distribution, per detector."""

    labels: np.ndarray
    groups: np.ndarray
    places: np.ndarray

    def scores(self, made: Scores, detector: int = 0) -> np.ndarray:
        """Anomaly scores by one detector."""
        u = self.places[detector]
        return np.where(self.labels == 1, made.defective(u), made.good(u))


def draw(
    rng: np.random.Generator,
    n_good: int,
    n_defective: int,
    group_size: int = 1,
    alike: float = 0,
    correlated: float = 0.8,
) -> TestSet:
    """Test set of two detectors, `correlated` per image; images of a group are `alike`."""
    n = n_good + n_defective
    groups = np.arange(n) // group_size
    shared = rng.normal(size=(2, 1, groups.max() + 1))[:, :, groups]
    own = rng.normal(size=(2, 2, n))
    per_image = alike**0.5 * shared + (1 - alike) ** 0.5 * own[:, :1]
    latent = correlated**0.5 * per_image[0] + (1 - correlated) ** 0.5 * own[1]
    names = groups.astype(str) if group_size > 1 else np.full(n, "")
    labels = np.repeat([0, 1], [n_good, n_defective])
    return TestSet(labels, names, stats.norm.cdf(latent))


def draw_groups(
    rng: np.random.Generator, sizes: tuple[np.ndarray, np.ndarray], alike: float
) -> TestSet:
    """Test set of one detector: groups of good and of defective images, `alike` within a group."""
    groups = np.repeat(np.arange(sum(map(len, sizes))), np.concatenate(sizes))
    shared, own = rng.normal(size=groups.max() + 1)[groups], rng.normal(size=len(groups))
    latent = alike**0.5 * shared + (1 - alike) ** 0.5 * own
    labels = np.repeat([0, 1], [each.sum() for each in sizes])
    return TestSet(labels, groups.astype(str), stats.norm.cdf(latent)[None])


def percentiles(replicates: np.ndarray) -> Interval:
    """The interval of the plain percentile bootstrap."""
    low, high = np.quantile(replicates, [0.025, 0.975])
    return float(low), float(high)


def influence(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Each image's part in the AUROC; the squares sum to DeLong's variance."""
    parts = np.empty(len(labels))
    for label, sign in ((0, -1), (1, 1)):
        own, others = sign * scores[labels == label], np.sort(sign * scores[labels != label])
        placed = np.searchsorted(others, own, "left") + np.searchsorted(others, own, "right")
        placed = placed / 2 / len(others)
        n = len(own)
        parts[labels == label] = (placed - placed.mean()) / (n * (n - 1)) ** 0.5
    return parts


def delong_on_logits(auroc: float, labels: np.ndarray, scores: np.ndarray) -> Interval:
    """DeLong's interval on the logit scale; a point where the ranking is perfect."""
    if auroc in (0, 1):
        return auroc, auroc
    width = Z * (influence(labels, scores) ** 2).sum() ** 0.5 / (auroc * (1 - auroc))
    logit = np.log(auroc / (1 - auroc))
    return 1 / (1 + np.exp(width - logit)), 1 / (1 + np.exp(-width - logit))


def ranking_of(test: TestSet, made: Scores, seed: int) -> tuple[Intervals, Intervals]:
    """Intervals of AUROC and of AUPR by each method, of one simulated test set."""
    labels, scores = test.labels, test.scores(made)
    metrics = {
        "image_auroc": image_auroc(labels, scores),
        "aupr": average_precision(labels, scores),
    }
    replicates = bootstrap_replicates(labels, scores, test.groups, seed, "")
    ours = ranking_intervals(metrics, replicates, labels, test.groups)
    auroc = metrics["image_auroc"]
    return {
        "percentile bootstrap": percentiles(replicates["image_auroc"]),
        "DeLong, logit": delong_on_logits(auroc, labels, scores),
        USED: ours["image_auroc"],
    }, {"percentile bootstrap": percentiles(replicates["aupr"]), USED: ours["aupr"]}


def difference_of(test: TestSet, both: tuple[Scores, Scores], seed: int) -> Intervals:
    """Intervals of the difference in AUROC of two detectors on the same images."""
    labels = test.labels
    scores = [test.scores(made, k) for k, made in enumerate(both)]
    values = [image_auroc(labels, each) for each in scores]
    replicates = [bootstrap_replicates(labels, each, test.groups, seed, "") for each in scores]
    limits = [
        ranking_intervals(
            {"image_auroc": value, "aupr": average_precision(labels, each)},
            of_each,
            labels,
            test.groups,
        )["image_auroc"]
        for value, each, of_each in zip(values, scores, replicates, strict=True)
    ]
    aurocs = [of_each["image_auroc"] for of_each in replicates]
    parts = influence(labels, scores[0]) - influence(labels, scores[1])
    difference, width = values[0] - values[1], Z * (parts**2).sum() ** 0.5
    return {
        "percentile bootstrap": percentiles(aurocs[0] - aurocs[1]),
        "DeLong": (difference - width, difference + width),
        USED: difference_interval(values, limits, correlation(*aurocs)),
    }


def threshold_metrics_of(test: TestSet, made: Scores, threshold: float) -> dict[str, Interval]:
    """Intervals of the metrics at a threshold that was set beforehand."""
    return confusion_intervals(test.labels, test.scores(made) >= threshold, test.groups)


def rows(trials: int) -> Iterator[Row]:
    """Of all figures here."""
    with quicker(REPLICATES):
        yield from ranking_rows(trials)
        yield from group_rows(trials)
        yield from difference_rows(trials)
        yield from average_rows(trials)
        yield from threshold_rows(trials)


def ranking_rows(trials: int) -> Iterator[Row]:
    """Of AUROC and AUPR."""
    cases = [(name, made) for auroc in AUROCS for name, made in shapes(auroc)]
    for name, made in [*cases, ("no overlap", separate())]:
        for sizes in SIZES:
            tallies = {
                "image AUROC": Tally(made.auroc),
                "image AUPR": Tally(made.aupr(*sizes)),
            }
            for seed in range(trials):
                found = ranking_of(draw(np.random.default_rng(seed), *sizes), made, seed)
                for tally, intervals in zip(tallies.values(), found, strict=True):
                    tally.add(intervals)
            for figure, tally in tallies.items():
                yield from tally.rows(figure, f"{tally.truth:.3f}, {name}, {_images(sizes)}")


def group_rows(trials: int) -> Iterator[Row]:
    """Of AUROC and AUPR of images in groups of unequal size."""
    cases = [(name, made) for auroc in AUROCS for name, made in list(shapes(auroc))[:2]]
    for name, made in [*cases, ("no overlap", separate())]:
        for n_groups in (9, 13, 20):
            sizes = group_sizes(n_groups, 12), group_sizes(n_groups, 12)[::-1]
            images = tuple(int(each.sum()) for each in sizes)
            tallies = {"image AUROC": Tally(made.auroc), "image AUPR": Tally(made.aupr(*images))}
            for seed in range(trials):
                test = draw_groups(np.random.default_rng(seed), sizes, 0.8)
                alone = test._replace(groups=np.full(len(test.labels), ""))
                found = [ranking_of(each, made, seed) for each in (test, alone)]
                for tally, (of_groups, of_images) in zip(
                    tallies.values(), zip(*found, strict=True), strict=True
                ):
                    tally.add({"as if independent": of_images[USED], USED: of_groups[USED]})
            for figure, tally in tallies.items():
                case = f"{tally.truth:.3f}, {name}, {n_groups} groups of 1 to 12 of each kind"
                yield from tally.rows(f"{figure}, images in groups", case)


def difference_rows(trials: int) -> Iterator[Row]:
    """Of the differences of two detectors."""
    pairs = [(0.76, 0.80), (0.90, 0.95), (0.98, 0.99), (0.995, 0.995)]
    cases = [
        (name, (first, second))
        for pair in pairs
        for (name, first), (_, second) in zip(*map(shapes, pair), strict=True)
    ]
    settings = [(sizes, 0.8) for sizes in SIZES[:2]] + [(SIZES[0], 0.98)]
    for name, both in [*cases, ("no overlap", (separate(), separate()))]:
        for sizes, correlated in settings:
            tally = Tally(both[0].auroc - both[1].auroc)
            for seed in range(trials):
                test = draw(np.random.default_rng(seed), *sizes, correlated=correlated)
                tally.add(difference_of(test, both, seed))
            truths = " against ".join(f"{made.auroc:.3f}" for made in both)
            case = f"{truths}, {name}, {_images(sizes)}, correlation {correlated}"
            yield from tally.rows("difference in image AUROC on the same images", case)


def average_rows(trials: int) -> Iterator[Row]:
    """Of the mean AUROC over several categories, half of them nearly perfect."""
    for n_categories in (2, 15):
        for easy in (0.95, 0.995):
            for sizes in SIZES[:2]:
                both = [[made for _, made in shapes(auroc)] for auroc in (0.76, easy)]
                made = [both[k % 2][k % 3] for k in range(n_categories)]
                tally = Tally(float(np.mean([each.auroc for each in made])))
                for seed in range(trials):
                    rng = np.random.default_rng(seed)
                    tally.add(average_of([draw(rng, *sizes) for _ in made], made, seed))
                case = f"{n_categories} categories, {tally.truth:.3f}, {_images(sizes)} each"
                yield from tally.rows("mean image AUROC over categories", case)


def threshold_rows(trials: int) -> Iterator[Row]:
    """Of metrics at a threshold that 5 % of the good images exceed."""
    for auroc in AUROCS:
        for name, made in shapes(auroc):
            threshold = float(made.good(np.array([0.95]))[0])
            recall = float((made.defective(GRID) >= threshold).mean())
            for sizes in SIZES:
                n_good, n_defective = sizes
                called = n_defective * recall + n_good * 0.05
                truths = {
                    "f1": 2 * n_defective * recall / (called + n_defective),
                    "balanced_accuracy": (1 + recall - 0.05) / 2,
                }
                tallies = {metric: Tally(truth) for metric, truth in truths.items()}
                for seed in range(trials):
                    test = draw(np.random.default_rng(seed), *sizes)
                    found = threshold_metrics_of(test, made, threshold)
                    for metric, tally in tallies.items():
                        tally.add({USED: found[metric]})
                for metric, tally in tallies.items():
                    case = f"AUROC {auroc}, {name}, {_images(sizes)}"
                    yield from tally.rows(FIGURES_AT_THRESHOLD[metric], case)


FIGURES_AT_THRESHOLD = {
    "f1": "F1 at the honest threshold",
    "balanced_accuracy": "balanced accuracy at the honest threshold",
}


def _images(sizes: tuple[int, int]) -> str:
    return "{} good and {} defective".format(*sizes)


def average_of(tests: list[TestSet], made: list[Scores], seed: int) -> Intervals:
    """Intervals of the mean AUROC of several test sets."""
    values, limits, replicates = [], [], []
    for place, (test, of_it) in enumerate(zip(tests, made, strict=True)):
        labels, scores = test.labels, test.scores(of_it)
        drawn = bootstrap_replicates(labels, scores, test.groups, seed, str(place))
        metrics = {
            "image_auroc": image_auroc(labels, scores),
            "aupr": average_precision(labels, scores),
        }
        values.append(metrics["image_auroc"])
        limits.append(ranking_intervals(metrics, drawn, labels, test.groups)["image_auroc"])
        replicates.append(drawn["image_auroc"])
    return {
        "percentile bootstrap": percentiles(np.mean(replicates, axis=0)),
        USED: mean_interval(values, limits),
    }
