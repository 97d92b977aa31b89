"""What a search may spend, and what a trial is expected to take."""

from collections.abc import Mapping
from typing import NamedTuple

from defectbench.search.space import SetUp

GROWTH = 1.5
"""How the time of fits grows with the number of images, as a power: between what grows as they do
and what grows as their square."""

HOLDING_OUT, OF_PADIM = 2.0, 12.0
"""How many times longer a trial on all images takes, for scores that are held out; PaDiM inverts a
covariance of each place anew for each fold."""


class Trial(NamedTuple):
    """What a set-up does on a part of the images.

    Attributes
    ----------
    merit, auroc
        What it is ranked by, the more the better.
    milliseconds
        From file to score, of one image by itself.
    extraction_seconds, seconds
        Of features that were not there yet; of everything else.
    images
        Of the part.
    scores
        Of its test images.
    problem
        Why it cannot be used; empty otherwise. The figures then mean nothing.
    """

    merit: float
    auroc: float
    milliseconds: float
    extraction_seconds: float
    seconds: float
    images: int
    scores: tuple[float, ...] = ()
    problem: str = ""


class Tried(NamedTuple):
    """A set-up's way through the search: its last trial, on which part of the images, from 1."""

    set_up: SetUp
    part: int
    trial: Trial


class Budget:
    """What may be spent, and what has been.

    Parameters
    ----------
    seconds, trials
        Seconds for all categories together, or trials for this one; the other is None.
    categories
        How many there are.
    """

    def __init__(self, seconds: float | None, trials: int | None, categories: int = 1) -> None:
        self.counts, self.categories = seconds is None, categories
        self.most = trials if seconds is None else seconds / categories
        self.spent = 0.0

    def spend(self, trial: Trial) -> None:
        """Count a trial."""
        self.spent += 1 if self.counts else trial.extraction_seconds + trial.seconds

    def share(self, parts_left: int) -> float:
        """Up to what may be spent when a part is done, so that as much is left for each other."""
        return self.spent + (self.most - self.spent) / parts_left

    @property
    def told(self) -> str:
        """What was spent of how much."""
        return f"{self.spent:.0f} of {self.most:.0f} {'trials' if self.counts else 's'}"

    def expected(
        self, set_up: SetUp, number: int, images: int, last: bool, tried: Mapping[str, Tried]
    ) -> float:
        """What a trial will take, by the same set-up on fewer images, or else by those like it.

        Parameters
        ----------
        set_up
            To be tried.
        number, images, last
            Of the part: from 0; how many; whether it is the last one.
        tried
            The last trial of each that was tried.
        """
        if self.counts:
            return 1
        before = tried.get(set_up.name)
        if before is None:
            scorer = set_up.method["scorer"]
            like = (each for each in tried.values() if each.set_up.method["scorer"] == scorer)
            seconds = (each.trial.seconds / each.trial.images / each.set_up.pixels for each in like)
            return images * set_up.pixels * max(seconds, default=0.0)
        key = set_up.canvas, set_up.backbone
        same = [each for each in tried.values() if _key(each) == key]
        extraction = max(each.trial.extraction_seconds / each.trial.images for each in same)
        there = any(each.part > number for each in same)
        added = 0 if there else images - before.trial.images
        growth = (images / before.trial.images) ** GROWTH
        if last:
            growth *= OF_PADIM if set_up.method["scorer"] == "padim" else HOLDING_OUT
        return extraction * added + growth * before.trial.seconds


def _key(each: Tried) -> tuple[str, str]:
    return each.set_up.canvas, each.set_up.backbone
