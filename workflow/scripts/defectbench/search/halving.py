"""Successive halving within a budget: all set-ups on few images, the best of them on more.

Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization",
2016. Here a third goes on, no kind of detector takes all places, and each part of the images gets
as large a share of what is left of the budget as any later one.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import NamedTuple

from defectbench.errors import InputError
from defectbench.progress import say
from defectbench.search.space import SetUp

KEPT = 1 / 3
FEWEST = 6
"""Set-ups that go on at least."""

GROWTH = 1.5
"""How the time of fits grows with the number of images, as a power: between what grows as they do
and what grows as their square."""

HOLDING_OUT = 2.0
"""How many times longer a trial on all images takes, for scores that are held out."""


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
    problem
        Why it cannot be used; empty otherwise. The figures then mean nothing.
    """

    merit: float
    auroc: float
    milliseconds: float
    extraction_seconds: float
    seconds: float
    images: int
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
        One of them is None.
    """

    def __init__(self, seconds: float | None, trials: int | None) -> None:
        self.most, self.counts = (trials, True) if seconds is None else (seconds, False)
        self.spent = 0.0

    def spend(self, trial: Trial) -> None:
        """Count a trial."""
        self.spent += 1 if self.counts else trial.extraction_seconds + trial.seconds

    @property
    def left(self) -> float:
        """Seconds, or trials."""
        return self.most - self.spent

    @property
    def told(self) -> str:
        """What was spent of how much."""
        return f"{self.spent:.0f} of {self.most:.0f} {'trials' if self.counts else 's'}"


def halve(
    set_ups: Sequence[SetUp],
    parts: Sequence[Sequence[int]],
    try_on: Callable[[SetUp, int], Trial],
    budget: Budget,
    after_part: Callable[[Sequence[SetUp]], None] = lambda goes_on: None,
    label: str = "search",
) -> list[Tried]:
    """Try set-ups on more and more of the images; the last trial of each.

    Parameters
    ----------
    set_ups
        Cheap ones first.
    parts
        From `parts.nested_parts`.
    try_on
        Tries a set-up on the part of this number, from 0.
    budget
        Counts what is spent.
    after_part
        Learns after each part which set-ups go on.
    label
        What is being done, for the terminal.

    Raises
    ------
    InputError
        If the budget does not reach for one set-up on all images.
    """
    tried: dict[str, Tried] = {}
    go_on = list(set_ups)
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        may_spend = budget.spent + budget.left / (len(parts) - number)
        found: list[Tried] = []
        for set_up in go_on:
            expected = _expected(set_up, number, len(part), last, tried, budget)
            if budget.spent + expected > (budget.most if last else may_spend) and (found or last):
                continue
            trial = try_on(set_up, number)
            budget.spend(trial)
            tried[set_up.name] = Tried(set_up, number + 1, trial)
            if not trial.problem:
                found.append(tried[set_up.name])
            say(label, _progress(number, parts, set_up, trial, found, budget))
        if not found:
            raise InputError(_nothing_found(go_on, number, len(part), last, tried, budget))
        if last:
            break
        go_on = goes_on(found)
        after_part(go_on)
    return list(tried.values())


def _progress(
    number: int,
    parts: Sequence[Sequence[int]],
    set_up: SetUp,
    trial: Trial,
    found: Sequence[Tried],
    budget: Budget,
) -> str:
    done = f"{set_up.name}: {trial.problem or f'{trial.merit:.3f}'}"
    told = f"part {number + 1} of {len(parts)} ({len(parts[number])} images), {budget.told}; {done}"
    if not found:
        return told
    best = in_rank(found)[0]
    return f"{told}; best so far {best.set_up.name}: {best.trial.merit:.3f}"


def in_rank(tried: Sequence[Tried]) -> list[Tried]:
    """The best first: by merit, AUROC, then the fewest milliseconds."""

    def key(each: Tried) -> tuple[float, float, float]:
        return -each.trial.merit, -each.trial.auroc, each.trial.milliseconds

    return sorted(tried, key=key)


def goes_on(found: Sequence[Tried]) -> list[SetUp]:
    """Set-ups that are tried on more images, by turns: the best of each scorer, the second best, …

    So none takes all places: which one keeps its promise is seen on all images.
    """
    most = max(FEWEST, ceil(KEPT * len(found)))
    best = in_rank(found)[:most]
    turn, scorers = {}, Counter[str]()
    for each in best:
        scorer = each.set_up.method["scorer"]
        turn[each.set_up.name] = scorers[scorer]
        scorers[scorer] += 1
    best.sort(key=lambda each: turn[each.set_up.name])
    return [each.set_up for each in best]


def _expected(
    set_up: SetUp,
    number: int,
    images: int,
    last: bool,
    tried: dict[str, Tried],
    budget: Budget,
) -> float:
    """What a trial will take: from the same set-up on fewer images, else from those like it."""
    if budget.counts:
        return 1
    if before := tried.get(set_up.name):
        same = list(_of_same_features(set_up, tried))
        extraction = max(each.trial.extraction_seconds / each.trial.images for each in same)
        there = any(each.part > number for each in same)
        added = 0 if there else images - before.trial.images
        growth = (images / before.trial.images) ** GROWTH * (HOLDING_OUT if last else 1)
        return extraction * added + growth * before.trial.seconds
    like = [
        each.trial.seconds / each.trial.images
        for each in tried.values()
        if each.set_up.method["scorer"] == set_up.method["scorer"]
    ]
    return images * max(like, default=0.0)


def _of_same_features(set_up: SetUp, tried: dict[str, Tried]) -> Iterator[Tried]:
    for each in tried.values():
        if (each.set_up.canvas, each.set_up.backbone) == (set_up.canvas, set_up.backbone):
            yield each


def _nothing_found(
    go_on: Sequence[SetUp],
    number: int,
    images: int,
    last: bool,
    tried: dict[str, Tried],
    budget: Budget,
) -> str:
    problems = [
        each.trial.problem
        for set_up in go_on
        if (each := tried.get(set_up.name)) and each.trial.problem
    ]
    if problems:
        return f"no set-up can be used on these images: {problems[0]}"
    if budget.counts:
        return (
            f"search.budget: {budget.most} trials are too few: {budget.spent:.0f} were made on "
            "parts of the images, and none is left for all of them"
        )
    least = min(_expected(each, number, images, last, tried, budget) for each in go_on)
    return (
        f"search.budget: {budget.most:.0f} s are too few for one set-up on all images: set it to "
        f"{ceil((budget.spent + least) * 1.5)}s or more, as in BUDGET=10min"
    )
