"""What all studies share: a category's features, one trial, and repeats brought together."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from defectbench.errors import InputError
from defectbench.evaluation.bootstrap import bootstrap_replicates, group_numbers
from defectbench.evaluation.held_out import folds, held_out, rows_left
from defectbench.evaluation.image_metrics import confusion_at, image_auroc
from defectbench.evaluation.intervals import auroc_interval
from defectbench.evaluation.rates import Interval, effective_size, rate_interval
from defectbench.evaluation.thresholds import threshold_at_false_positive_rate
from defectbench.images.groups import Groups, assign_groups
from defectbench.images.index import read_index
from defectbench.scorers.base import Features, Scorer, take_images
from defectbench.storage import open_h5, read_attributes

Level = dict[str, Any]
"""A point of a study: what was varied and how far, its figures with intervals, its repeats."""


class Category(NamedTuple):
    """Features of a category and what is known of its images.

    Attributes
    ----------
    X
        Features of all images, in the order of the index.
    labels, groups
        Of all images.
    train, test
        Rows of both.
    name
        On which the draws of the bootstrap depend.
    """

    X: Features
    labels: np.ndarray
    groups: np.ndarray
    train: np.ndarray
    test: np.ndarray
    name: str

    @property
    def images(self) -> dict[str, int]:
        """Numbers of images, as reports state them."""
        defective = int(self.labels[self.test].sum())
        good = len(self.test) - defective
        return {"train": len(self.train), "test_good": good, "test_defective": defective}


class Settings(NamedTuple):
    """What is the same at every point of a study.

    Attributes
    ----------
    false_positive_rate, folds
        Of the honest threshold.
    seed
        Of all random choices.
    trimmed
        Share of the training images that the method leaves out.
    """

    false_positive_rate: float
    folds: int
    seed: int
    trimmed: float = 0


class Trial(NamedTuple):
    """A detector fitted on some images and judged on others.

    Attributes
    ----------
    fitted_on, judged_on
        Rows of the category; of the first those that trimming left.
    held_out_scores
        Of `fitted_on`, in its order.
    scores
        Of `judged_on`, in its order.
    threshold
        The honest one.
    """

    fitted_on: np.ndarray
    judged_on: np.ndarray
    held_out_scores: np.ndarray
    scores: np.ndarray
    threshold: float


def read_category(
    index_file: str,
    features_file: str,
    group: str,
    arrays: Sequence[str],
    groups: Groups,
    name: str,
) -> tuple[Category, dict[str, Any]]:
    """A category's features and the provenance that they carry.

    Parameters
    ----------
    index_file, features_file
        Of the category.
    group, arrays
        Where in the feature file the method's layers are.
    groups
        The dataset's key of that name; empty for what the index says.
    name
        The category's.

    Raises
    ------
    InputError
        If the test images are not of both kinds: a study then has nothing to show.
    """
    index = read_index(index_file)
    if groups:
        index = assign_groups(index, groups, name)
    with open_h5(features_file) as file:
        provenance = read_attributes(file[group])["provenance"]
        layers = [file[group][array][()] for array in arrays]
    is_train = np.array([row.split == "train" for row in index])
    category = Category(
        layers if len(layers) > 1 else layers[0],
        np.array([row.label for row in index]),
        np.array([row.group for row in index], str),
        np.flatnonzero(is_train),
        np.flatnonzero(~is_train),
        name,
    )
    images = category.images
    if not images["test_good"] or not images["test_defective"]:
        raise InputError(f"{index_file}: a study needs good and defective test images; add some")
    return category, provenance


def trial(
    scorer: Scorer,
    category: Category,
    fitted_on: np.ndarray,
    judged_on: np.ndarray,
    settings: Settings,
) -> Trial:
    """Fit a detector, set its honest threshold and score other images.

    Raises
    ------
    InputError
        If the images are too few for the scorer.
    """
    rows = np.sort(fitted_on)  # where neighbours are held out together, they are the index's
    X, groups = take_images(category.X, rows), category.groups[rows].tolist()
    if settings.trimmed:
        left = rows_left(scorer, X, groups, settings.trimmed, settings.folds, settings.seed)
        rows, X, groups = rows[left], take_images(X, left), [groups[row] for row in left]
    split = folds(groups, settings.folds, settings.seed)
    held_out_scores = held_out(scorer.fit(X), X, split).scores
    threshold = threshold_at_false_positive_rate(held_out_scores, settings.false_positive_rate)
    scores = scorer.anomaly_score(take_images(category.X, judged_on))
    return Trial(rows, judged_on, held_out_scores, scores, threshold)


def level(
    varied: Mapping[str, Any], trials: Sequence[Trial], category: Category, seed: int
) -> Level:
    """The repeats of one point: means with intervals, and each repeat.

    A mean varies with the test images and with the draw of the training images. The variance of
    the first is the bootstrap's, or the binomial one of rates, the mean of the repeats: they share
    test images, so that averaging takes nothing from it. To it comes the variance of the
    mean of the repeats.
    """
    found = [_figures(each, category, seed) for each in trials]
    units = [_units(category, each.judged_on) for each in trials]
    figures = {
        "image_auroc": _mean_auroc(found, np.min(units, axis=0)),
        **{name: _mean_rate(name, found) for name in ("false_positive_rate", "recall")},
    }
    return {
        **varied,
        "images": float(np.mean([repeat["images"] for repeat in found])),
        **{name: value for name, (value, _) in figures.items()},
        "intervals": {name: interval for name, (_, interval) in figures.items()},
        "repeats": [
            {key: value for key, value in repeat.items() if not key.startswith("_")}
            for repeat in found
        ],
        "reason": "",
    }


def missing_level(varied: Mapping[str, Any], images: int, reason: str) -> Level:
    """A point that cannot be had, and why."""
    figures = dict.fromkeys(("image_auroc", "false_positive_rate", "recall"))
    return {
        **varied,
        "images": float(images),
        **figures,
        "intervals": {},
        "repeats": [],
        "reason": reason,
    }


def _figures(each: Trial, category: Category, seed: int) -> dict[str, Any]:
    """Figures of a trial; names that begin with _ are for the intervals alone."""
    labels, groups = category.labels[each.judged_on], category.groups[each.judged_on]
    confusion = confusion_at(labels, each.scores, each.threshold)
    called = each.scores >= each.threshold
    replicates = bootstrap_replicates(labels, each.scores, groups, seed, category.name)
    fewer = min(_units(category, each.judged_on))
    correction = fewer / (fewer - 1) if fewer > 1 else 1.0  # as `intervals.ranking_intervals`
    return {
        "images": len(each.fitted_on),
        "image_auroc": image_auroc(labels, each.scores),
        "threshold": each.threshold,
        "false_positive_rate": confusion.false_positive_rate,
        "recall": confusion.recall,
        "_variance": correction * float(replicates["image_auroc"].var()),
        "_of_false_positive_rate": effective_size(called[labels == 0], groups[labels == 0]),
        "_of_recall": effective_size(called[labels == 1], groups[labels == 1]),
    }


def _units(category: Category, rows: np.ndarray) -> tuple[int, int]:
    """Independent good and defective test images, or groups of them."""
    numbers, labels = group_numbers(category.groups[rows]), category.labels[rows]
    return len(set(numbers[labels == 0])), len(set(numbers[labels == 1]))


def _mean_auroc(found: Sequence[Mapping[str, Any]], units: np.ndarray) -> tuple[float, Interval]:
    values = [repeat["image_auroc"] for repeat in found]
    variance = float(np.mean([repeat["_variance"] for repeat in found])) + _of_mean(values)
    mean = float(np.mean(values))
    return mean, auroc_interval(mean, variance, *map(int, units))


def _mean_rate(name: str, found: Sequence[Mapping[str, Any]]) -> tuple[float, Interval]:
    values = [repeat[name] for repeat in found]
    mean, of = float(np.mean(values)), min(repeat[f"_of_{name}"] for repeat in found)
    if 0 < mean < 1:  # as many images as would know the rate as well
        of = mean * (1 - mean) / (mean * (1 - mean) / of + _of_mean(values))
    return mean, rate_interval(mean, of)


def _of_mean(values: Sequence[float]) -> float:
    """Variance of the mean of repeats; 0 of a single one."""
    return float(np.var(values, ddof=1) / len(values)) if len(values) > 1 else 0.0
