"""How many good parts must be photographed: what the images allow to say of it."""

from collections.abc import Sequence
from itertools import takewhile

from defectbench.studies.paired import difference
from defectbench.studies.phrases import TOO_FEW, Names, photographs, shown
from defectbench.studies.results import ALL, Level, Result, measured

POINT = 0.01
"""A point of AUROC: less is no difference worth a photograph."""


def training_size_answers(results: Sequence[Result], names: Names) -> list[str]:
    """By detector whether fewer images are enough, and whether the threshold keeps its rate;
    whether the ranking of detectors turns around."""
    category = results[0]["category"]
    return [
        *(f"{category}, {names[each['detector']]}: {_of_detector(each)}" for each in results),
        *(f"{category}: {line}" for line in _ranking_turns(results, names)),
    ]


def _of_detector(result: Result) -> str:
    """What is said of the numbers that were drawn several times, and of all images.

    A single draw tells nothing of others; of all images there is no other draw.
    """
    levels = measured(result)
    if not levels:
        return "no size could be measured; no answer."
    last = levels[-1]
    told = [level for level in levels[:-1] if len(level["repeats"]) > 1]
    rate = _rate([*told, last], result["false_positive_rate"])
    if len(levels) < 2:
        return f"fewer than two sizes could be measured; no answer. {rate}"
    if not told:
        return f"{TOO_FEW} how many are enough: each number was drawn once. {rate}"
    return f"{_enough(told, last)}, to {shown(last, 'image_auroc')}. {rate}"


def _enough(fewer: Sequence[Level], last: Level) -> str:
    """From which number on a detector is within a point of that of all images.

    From the largest number down, as long as the difference's interval allows it: of all numbers
    of which it is said, it is wrongly said in no more cases than of one.
    """
    gains = [difference(last, level, share=0) for level in fewer]
    enough = list(takewhile(lambda at: gains[at].high <= POINT, reversed(range(len(fewer)))))
    if enough:
        first = enough[-1]
        return (
            f"{photographs(fewer[first])} images are enough to be within one point of "
            f"{_largest(last)}, which gain {gains[first]}"
        )
    gain = f"from {photographs(fewer[-1])} to {_largest(last)} AUROC gains {gains[-1]}"
    if gains[-1].low > POINT:
        return f"more than you have: {gain}"
    return f"{TOO_FEW} how many are enough: {gain}"


def _largest(level: Level) -> str:
    """The largest number of images, which is all of them where the config asks for that."""
    return f"{'all ' if level['level'] == ALL else ''}{photographs(level)}"


def _rate(levels: Sequence[Level], asked: float) -> str:
    """From which number on false alarms keep the rate asked for, and up to which they exceed it.

    From either end, as far as the intervals allow it: see `_enough`.
    """
    limits = [level["intervals"]["false_positive_rate"] for level in levels]
    numbers = range(len(levels))
    keeping = list(takewhile(lambda at: limits[at][1] <= asked, reversed(numbers)))
    exceeding = list(takewhile(lambda at: limits[at][0] > asked, numbers))
    if limits[-1][0] > asked:
        most = f"{_largest(levels[-1])} images: {_found(levels[-1])}"
        return f"False alarms exceed the {asked:.0%} asked for even with {most}."
    if keeping:
        first = levels[keeping[-1]]
        text = (
            f"False alarms keep the {asked:.0%} asked for from {photographs(first)} images on: "
            f"{_found(first)}."
        )
    else:
        text = (
            f"{TOO_FEW.capitalize()} whether the threshold keeps the {asked:.0%} asked for: with "
            f"{_largest(levels[-1])} images false alarms are {_found(levels[-1])}."
        )
    if exceeding:
        few = levels[exceeding[-1]]
        text += f" With up to {photographs(few)} images false alarms exceed it: {_found(few)}."
    return text


def _found(level: Level) -> str:
    return shown(level, "false_positive_rate")


def _ranking_turns(results: Sequence[Result], names: Names) -> list[str]:
    """Whether the best detector at the smallest common size is another than with all images."""
    levels = [{level["level"]: level for level in measured(result)} for result in results]
    common = [size for size in levels[0] if all(size in own for own in levels)]
    if len(results) < 2 or len(common) < 2:
        return []
    few, many = ([own[size] for own in levels] for size in (common[0], common[-1]))
    best_of_few, best_of_many = (_best(found) for found in (few, many))
    first, last = (names[results[at]["detector"]] for at in (best_of_few, best_of_many))
    images = photographs(few[0])
    if first == last:
        return [f"on these images {first} has the highest AUROC with {images} images, as with all."]
    leads = [
        difference(few[best_of_few], few[best_of_many], few[0]["share"]),
        difference(many[best_of_many], many[best_of_few], many[0]["share"]),
    ]
    ahead = (
        f"with {images} images {first} leads by {leads[0]}, with {common[-1]} {last} by {leads[1]}"
    )
    if _told(few) and all(lead.low > 0 for lead in leads):
        return [f"the ranking turns: {ahead}."]
    return [f"{TOO_FEW} whether the ranking turns: {ahead}."]


def _best(levels: Sequence[Level]) -> int:
    return max(range(len(levels)), key=lambda at: levels[at]["image_auroc"])


def _told(levels: Sequence[Level]) -> bool:
    """Whether a size was drawn more than once, so that other draws are in its interval."""
    return all(len(level["repeats"]) > 1 for level in levels)
