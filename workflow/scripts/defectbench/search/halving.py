"""Successive halving within a budget: all set-ups on few images, the best of them on more.

Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization",
2016. Here a third goes on, by turns of the scorers, and each part of the images gets as large a
share of what is left of the budget as any later one.

The images that drop a set-up flatter those that stay. So that figures can be told of images that
chose nothing, each tenth of the test images (a fold) is also left out of all these decisions in
turn, and what would have gone on without it is tried, too.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import NamedTuple

from defectbench.errors import InputError
from defectbench.progress import say
from defectbench.search.budget import Budget, Trial, Tried
from defectbench.search.space import SetUp

KEPT = 1 / 3
FEWEST = 6
"""Set-ups that go on at least."""

TryOn = Callable[[SetUp, int], Trial]
"""Tries a set-up on the part of this number, from 0."""

Without = Callable[[Trial, int, int], Trial]
"""A trial on a part (its number from 0) as it would be ranked without a fold's test images."""


class Search(NamedTuple):
    """What a search has tried.

    Attributes
    ----------
    tried
        The last trial of each set-up.
    parts
        How many parts there were; the last one is all images.
    finalists
        Names of those that came through to all images, by the fold that was left out of the
        decisions; None for none.
    """

    tried: list[Tried]
    parts: int
    finalists: dict[int | None, list[str]]


def halve(
    set_ups: Sequence[SetUp],
    parts: Sequence[Sequence[int]],
    try_on: TryOn,
    budget: Budget,
    without: Without,
    folds: int = 0,
    after_part: Callable[[Sequence[SetUp]], None] = lambda goes_on: None,
    label: str = "search",
) -> Search:
    """Try set-ups on more and more of the images.

    Parameters
    ----------
    set_ups
        Cheap ones first.
    parts
        From `parts.nested_parts`.
    try_on
        Tries one.
    budget
        Counts what is spent.
    without, folds
        Ranks without a fold; how many folds there are.
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
    ways: dict[int | None, list[SetUp]] = {fold: list(set_ups) for fold in (None, *range(folds))}
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        may_spend = budget.share(len(parts) - number)
        go_on = _of_all(ways)
        found: list[Tried] = []
        for set_up in go_on:
            expected = budget.expected(set_up, number, len(part), last, tried)
            if budget.spent + expected > may_spend and (found or last):
                continue
            trial = try_on(set_up, number)
            budget.spend(trial)
            tried[set_up.name] = Tried(set_up, number + 1, trial)
            if not trial.problem:
                found.append(tried[set_up.name])
            say(label, _progress(number, parts, tried[set_up.name], found, budget))
        if not found:
            raise InputError(_nothing_found(go_on, number, len(part), last, tried, budget))
        there = {each.set_up.name: each for each in found}
        for fold, way in ways.items():
            own = [there[each.name] for each in way if each.name in there]
            if fold is not None and not last:
                own = [each._replace(trial=without(each.trial, number, fold)) for each in own]
            ways[fold] = [each.set_up for each in own] if last else goes_on(own)
        if not last:
            after_part(_of_all(ways))
    names = {fold: [each.name for each in way] for fold, way in ways.items()}
    return Search(list(tried.values()), len(parts), names)


def _of_all(ways: Mapping[int | None, Sequence[SetUp]]) -> list[SetUp]:
    """Those that go on in any way, each once; first those of the way without a fold."""
    return list({each.name: each for way in ways.values() for each in way}.values())


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


def _progress(
    number: int,
    parts: Sequence[Sequence[int]],
    now: Tried,
    found: Sequence[Tried],
    budget: Budget,
) -> str:
    done = f"{now.set_up.name}: {now.trial.problem or f'{now.trial.merit:.3f} (1 is best)'}"
    told = f"part {number + 1} of {len(parts)} ({len(parts[number])} images), {budget.told}; {done}"
    if not found:
        return told
    best = in_rank(found)[0]
    return f"{told}; best so far {best.set_up.name}: {best.trial.merit:.3f}"


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
    least = min(budget.expected(each, number, images, last, tried) for each in go_on)
    each = f" for each of {budget.categories} categories" if budget.categories > 1 else ""
    needed = ceil((budget.spent + least) * 1.5) * budget.categories
    return (
        f"search.budget: {budget.most:.0f} s{each} are too few: after {budget.spent:.0f} s no "
        f"set-up can be tried on all images; give it {needed} s or more, as in BUDGET={needed}s"
    )
