"""A category's features, and one trial: a detector fitted on some images and shown others."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from defectbench.errors import InputError
from defectbench.evaluation.bootstrap import independent_images
from defectbench.evaluation.covered import without_padding
from defectbench.evaluation.held_out import folds, held_out, number_of_folds, rows_left
from defectbench.evaluation.promises import promise
from defectbench.features.feature_file import open_layers
from defectbench.images.index import Groups, join_copies, read_grouped_index
from defectbench.scorers import scorer_class
from defectbench.scorers.base import Scorer
from defectbench.scorers.layers import Features, take_images
from defectbench.studies.results import Settings
from defectbench.studies.verdicts import Judged, Verdict


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
        The category's.
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
        test = self.judged(self.test)
        return image_counts(len(self.train), test) | {
            "train_groups": independent_images(self.groups[self.train])
        }

    def judged(self, rows: np.ndarray) -> Judged:
        """What is known of some images."""
        return Judged(self.labels[rows], self.groups[rows], self.name)


def image_counts(train: int, test: Judged) -> dict[str, int]:
    """Numbers of training images, and of good and defective test images with their groups."""
    counts = {"train": train}
    for label, name in enumerate(("test_good", "test_defective")):
        own = test.groups[test.labels == label]
        counts |= {name: len(own), f"{name}_groups": independent_images(own)}
    return counts


@contextlib.contextmanager
def open_category(
    index_file: str,
    features_file: str,
    features_group: str,
    arrays: Sequence[str],
    groups: Groups,
    name: str,
    scorer: str,
) -> Iterator[tuple[Category, dict[str, Any]]]:
    """A category's features, and what made them: the beginning of a specification.

    Features may be read from the file as long as the block of this context lasts.

    Parameters
    ----------
    index_file, features_file
        Of the category.
    features_group, arrays
        HDF5 group of the feature file that holds the method's layers, and their names in it.
    groups
        The dataset's key of that name; empty for what the index says.
    name
        The category's.
    scorer
        Name of the one that will read them.

    Raises
    ------
    InputError
        If the test images are not of both kinds: a study then has nothing to show.
    """
    index = join_copies(read_grouped_index(index_file, groups, name))
    splits = np.array([row.split for row in index])
    labels = np.array([row.label for row in index])
    names = np.array([row.group for row in index], str)
    rows = np.flatnonzero(splits == "train"), np.flatnonzero(splits == "test")
    with open_layers(features_file, features_group, arrays) as (X, made):
        X = without_padding(X, index, made["preprocessing"], scorer_class(scorer))
        category = Category(X, labels, names, *rows, name)
        images = category.images
        if not images["test_good"] or not images["test_defective"]:
            raise InputError(
                f"{index_file}: a study needs good and defective test images; add some"
            )
        yield category, made


class Trial(NamedTuple):
    """A detector fitted on some images and shown others.

    Attributes
    ----------
    fitted_on, judged_on
        Rows of the category; of the first those that trimming left.
    held_out_scores
        Of `fitted_on`, in its order.
    verdict
        On `judged_on`, at the honest threshold.
    """

    fitted_on: np.ndarray
    judged_on: np.ndarray
    held_out_scores: np.ndarray
    verdict: Verdict


def trial(
    scorer: Scorer,
    category: Category,
    fitted_on: np.ndarray,
    judged_on: np.ndarray,
    settings: Settings,
) -> Trial:
    """Fit a detector, set its honest threshold and score other images.

    Parameters
    ----------
    scorer
        With its parameters; it is left fitted.
    category
        Its images.
    fitted_on, judged_on
        Rows of the category.
    settings
        Threshold, seed and trimming.

    Raises
    ------
    InputError
        If the images are too few for the scorer.
    """
    # in the order of the index: of a single group, folds are neighbours in it
    rows = np.sort(fitted_on)
    X, groups = take_images(category.X, rows), category.groups[rows].tolist()
    if settings.trimmed:
        left = rows_left(scorer, X, groups, settings.trimmed, settings.folds, settings.seed)
        rows, X, groups = rows[left], take_images(X, left), [groups[row] for row in left]
    count = number_of_folds(settings.folds, scorer, groups)
    split = folds(groups, count, settings.seed)
    held_out_scores = held_out(scorer.fit_for_folds(X, split), X, split)
    promised = promise(held_out_scores, groups, settings.asked)
    threshold = promised["threshold"]
    scores = scorer.anomaly_score(take_images(category.X, judged_on))
    verdict = Verdict(category.judged(judged_on), scores, scores >= threshold, threshold, promised)
    return Trial(rows, judged_on, held_out_scores, verdict)
