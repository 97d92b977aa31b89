"""The file of a study: its points with their figures, written and read here alone."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, NotRequired, Self, TypedDict

from defectbench.evaluation.held_out import NumberOfFolds
from defectbench.evaluation.promises import Asked
from defectbench.evaluation.rates import Interval
from defectbench.storage import read_json, write_json

FIGURES = ("image_auroc", "false_positive_rate", "recall")
"""Figures of a point; the last two at the honest threshold."""

ALL = "all"
"""The training size that takes all images that there are."""

CLEAN = "clean"
"""The perturbation of test images that are as they were taken."""


class Variant(StrEnum):
    """A point without and with its study's remedy: trimming, or setting the threshold anew."""

    PLAIN = "plain"
    TRIMMED = "trimmed"
    FROZEN = "frozen"
    RESET = "reset"


class Ranking(TypedDict):
    """What the test images leave open of a point's AUROC.

    Attributes
    ----------
    variance
        Over other test images.
    units
        Independent good and defective images.
    parts
        `levels.auroc_parts`, the mean over the repeats; empty where test images differ among them.
    """

    variance: float
    units: list[int]
    parts: list[float]


class Level(TypedDict):
    """A point of a study.

    Attributes
    ----------
    perturbation, train, variant
        What is varied beside `level`, as far as the study has it: how the test images are changed;
        which images the detector was fitted on; without or with the remedy.
    level
        How far it is varied: a number of images (or ``all``), a share, a severity, or the name of
        the test images.
    images
        Training images, the mean of the repeats; of changed or other test images, how many there
        are.
    groups
        Independent ones of the training images, the mean of the repeats: those of a group are one.
    share
        Of the images that there are to draw from, how large a part a repeat takes.
    image_auroc, false_positive_rate, recall
        Means of the repeats; None where they could not be measured.
    intervals
        By the figure's name: ends of its 95 % interval.
    ranking
        What differences between points need beside the figures.
    repeats
        Figures and threshold of each repeat; of a threshold set anew also ``set_on``, the
        independent good images that it rests on.
    reason
        Why there are no figures; empty where there are.
    """

    perturbation: NotRequired[str]
    train: NotRequired[str]
    variant: NotRequired[Variant]
    level: float | int | str
    images: float
    groups: NotRequired[float]
    share: NotRequired[float]
    image_auroc: float | None
    false_positive_rate: float | None
    recall: float | None
    intervals: dict[str, Interval]
    ranking: NotRequired[Ranking]
    repeats: list[dict[str, Any]]
    reason: str


Result = dict[str, Any]
"""A study of a detector on a category: what `write_study` stores, and the name ``detector``."""


class Settings(NamedTuple):
    """What is the same at every point of a study.

    Attributes
    ----------
    false_positive_rate, rule, folds
        Of the honest threshold.
    seed
        Of all random choices.
    trimmed
        Share of the training images that the method leaves out.
    """

    false_positive_rate: float
    rule: str
    folds: NumberOfFolds
    seed: int
    trimmed: float = 0

    @classmethod
    def of_params(cls, params: Any, trimmed: float = 0) -> Self:
        """From a rule's parameters, the block ``threshold`` of the config among them."""
        return cls(params.false_positive_rate, params.rule, params.folds, params.seed, trimmed)

    @property
    def asked(self) -> Asked:
        """What the honest threshold is to keep."""
        return Asked(self.false_positive_rate, self.rule)


def missing_level(varied: Mapping[str, Any], images: int, reason: str) -> Level:
    """A point without figures, and why."""
    figures = dict.fromkeys(FIGURES)
    return {
        **varied,
        "images": float(images),
        **figures,
        "intervals": {},
        "repeats": [],
        "reason": reason,
    }


def write_study(
    path: str,
    study: str,
    names: Mapping[str, str],
    block: Any,
    settings: Settings,
    images: Mapping[str, int],
    **found: Any,
) -> None:
    """Store a study.

    Parameters
    ----------
    study
        Its key in the config.
    names
        The job's wildcards.
    block
        What the config says of the study.
    settings, images
        As in `Result`.
    **found
        ``levels`` and ``specification``, or ``methods``: both of each method.
    """
    shared = {"study": study, "settings": block, **settings._asdict(), "images": images}
    write_json(path, {**names, **shared, **found})


def read_studies(files: Sequence[str]) -> dict[str, list[Result]]:
    """Results by study, one per category and detector.

    Parameters
    ----------
    files
        Of all studies; one of robustness holds several methods.
    """
    found: dict[str, list[Result]] = {}
    for entry in map(read_json, files):
        methods = entry.pop("methods", None) or {entry.pop("method"): {}}
        for method, own in methods.items():
            detector = f"{method} {entry['backbone']}"
            result = {**entry, **own, "method": method, "detector": detector}
            found.setdefault(entry["study"], []).append(result)
    return found


def by_category(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Results of each category, in order."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result["category"], []).append(result)
    return found


def measured(result: Result, **varied: Any) -> list[Level]:
    """Points that have figures and whose keys have these values."""
    return [
        level
        for level in result["levels"]
        if not level["reason"] and all(level.get(key) == varied[key] for key in varied)
    ]
