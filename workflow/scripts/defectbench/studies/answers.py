"""The studies' answers in words: what was asked, as far as the images can tell."""

from collections.abc import Mapping, Sequence
from typing import Any

from defectbench.studies.perturbed_features import UNITS
from defectbench.studies.robustness import CLEAN, FROZEN, RESET
from defectbench.studies.training_set import PLAIN, TRIMMED

POINT = 0.01
"""A point of AUROC: less is no difference worth a photograph."""

STOPS = 2.0
"""A threshold has failed where false alarms are so many times what was asked for, or of clean
images, whichever is more."""

NOTHING = 0.05
"""Share found below which a detector is blind."""

Result = Mapping[str, Any]
Names = Mapping[str, str]


def training_size_answers(results: Sequence[Result], names: Names) -> list[str]:
    """Per category: the smallest number within one point of all, by detector; whether the
    threshold keeps its promise; whether the ranking of detectors turns around."""
    lines = []
    for category, own in _by_category(results).items():
        lines += [
            f"{category}, {names[result['detector']]}: {_smallest_number(result)}" for result in own
        ]
        lines += [f"{category}: {line}" for line in _ranking_turns(own, names)]
    return lines


def _smallest_number(result: Result) -> str:
    levels = _measured(result)
    if len(levels) < 2:
        return "fewer than two sizes could be measured; no answer."
    last, before = levels[-1], levels[-2]
    enough = len(levels) - 1
    while enough and levels[enough - 1]["image_auroc"] >= last["image_auroc"] - POINT:
        enough -= 1
    low, high = last["intervals"]["image_auroc"]
    width = f"the interval of all is {low:.3f} to {high:.3f}"
    if levels[enough] is last:
        gain = 100 * (last["image_auroc"] - before["image_auroc"])
        return (
            f"more than you have ({last['images']:.0f}): from {before['images']:.0f} images on "
            f"the last step still gained {gain:.1f} points, to {last['image_auroc']:.3f}; {width}. "
            + _promise(levels, result)
        )
    first = levels[enough]
    return (
        f"the smallest number within one point of all is {first['images']:.0f} "
        f"({first['image_auroc']:.3f}, all {last['images']:.0f}: {last['image_auroc']:.3f}); "
        f"{width}. " + _promise(levels, result)
    )


def _promise(levels: Sequence[Mapping[str, Any]], result: Result) -> str:
    """From which number on the threshold keeps the false-positive rate that was asked for."""
    asked = result["false_positive_rate"]
    kept = len(levels)
    while kept and levels[kept - 1]["false_positive_rate"] <= asked:
        kept -= 1
    first = levels[min(kept, len(levels) - 1)]
    low, high = first["intervals"]["false_positive_rate"]
    found = f"{first['false_positive_rate']:.1%}, interval {low:.1%} to {high:.1%}"
    if kept == len(levels):
        return f"The threshold misses the {asked:.0%} asked for even with all of them ({found})."
    return (
        f"The threshold keeps the {asked:.0%} asked for from {first['images']:.0f} images on "
        f"({found})."
    )


def _ranking_turns(results: Sequence[Result], names: Names) -> list[str]:
    """Whether the best detector at the smallest common size is another than with all images."""
    levels = [{level["level"]: level for level in _measured(result)} for result in results]
    common = [place for place in levels[0] if all(place in own for own in levels)]
    if len(results) < 2 or len(common) < 2:
        return []
    few, many = common[0], common[-1]
    best = [
        max(range(len(results)), key=lambda n, at=at: levels[n][at]["image_auroc"])
        for at in (few, many)
    ]
    images = levels[best[0]][few]["images"]
    first, last = (names[results[number]["detector"]] for number in best)
    if first == last:
        return [f"{first} ranks first with {images:.0f} images, as with {many}."]
    return [f"the ranking turns: with {images:.0f} images {first} is first, with {many} {last}."]


def contamination_answers(results: Sequence[Result], names: Names) -> list[str]:
    """Per category and detector: AUROC and share found at the largest share, and the remedy's."""
    lines = []
    for category, own in _by_category(results).items():
        for result in own:
            plain = _measured(result, PLAIN)
            trimmed = {level["level"]: level for level in _measured(result, TRIMMED)}
            if len(plain) < 2 or plain[0]["level"]:
                text = "no clean and no contaminated point to compare; no answer."
            else:
                text = _spoiled(plain[0], plain[-1], trimmed.get(plain[-1]["level"]), result)
            lines.append(f"{category}, {names[result['detector']]}: {text}")
    return lines


def _spoiled(
    clean: Mapping[str, Any],
    worst: Mapping[str, Any],
    remedy: Mapping[str, Any] | None,
    result: Result,
) -> str:
    text = (
        f"with {worst['level']:.0%} bad images AUROC goes from {clean['image_auroc']:.3f} to "
        f"{worst['image_auroc']:.3f}, the share found from {clean['recall']:.0%} to "
        f"{worst['recall']:.0%}, false alarms from {clean['false_positive_rate']:.1%} to "
        f"{worst['false_positive_rate']:.1%}"
    )
    if remedy is None:
        return f"{text}."
    share = result["settings"]["trimmed"]
    return (
        f"{text}; trimming {share:.0%} brings AUROC to {remedy['image_auroc']:.3f}, the share "
        f"found to {remedy['recall']:.0%} and false alarms to {remedy['false_positive_rate']:.1%}."
    )


def robustness_answers(results: Sequence[Result], names: Names) -> list[str]:
    """Per category and perturbation: the detectors whose false alarms stop the line, where, and
    what setting the threshold anew gives back; and those whose threshold holds."""
    lines = []
    for category, own in _by_category(results).items():
        lines += [f"{category}: {line}" for line in _blind(own, names)]
        severities = (level["perturbation"] for result in own for level in result["levels"])
        for perturbation in dict.fromkeys(name for name in severities if name != CLEAN):
            stopped = {names[each["detector"]]: _stopped(each, perturbation) for each in own}
            where = f"{category}, {perturbation}"
            lines += [f"{where}, {name}: {text}" for name, text in stopped.items() if text]
            holding = [each for each in own if not stopped[names[each["detector"]]]]
            if holding:
                lines.append(f"{where}: {_holding(holding, perturbation, names)}")
    return lines


def _blind(results: Sequence[Result], names: Names) -> list[str]:
    """Detectors that find next to nothing on clean images: that they raise no alarm says little."""
    found = [
        f"{names[result['detector']]} ({frozen['recall']:.1%}; {reset['recall']:.0%} with a "
        "threshold set on good test images)"
        for result in results
        for frozen, reset in [(_at(result, FROZEN, CLEAN)[0], _at(result, RESET, CLEAN)[0])]
        if frozen["recall"] < NOTHING and not reset["reason"]
    ]
    if not found:
        return []
    return [
        "the frozen threshold finds next to nothing on clean images already, so that few false "
        f"alarms are no merit: {', '.join(found)}."
    ]


def _stopped(result: Result, perturbation: str) -> str:
    """Where false alarms stop the line; empty where they do not."""
    (clean,) = _at(result, FROZEN, CLEAN)
    limit = STOPS * max(result["false_positive_rate"], clean["false_positive_rate"])
    over = [
        level for level in _at(result, FROZEN, perturbation) if level["false_positive_rate"] > limit
    ]
    if not over:
        return ""
    first = min(over, key=lambda level: abs(level["level"]))
    text = (
        f"false alarms stop the line at {_severity(first)}: {first['false_positive_rate']:.0%} "
        f"instead of {clean['false_positive_rate']:.1%}, AUROC {first['image_auroc']:.3f} instead "
        f"of {clean['image_auroc']:.3f}"
    )
    (again,) = (
        level for level in _at(result, RESET, perturbation) if level["level"] == first["level"]
    )
    if again["reason"]:
        return f"{text}."
    return (
        f"{text}; a threshold set anew there gives {again['false_positive_rate']:.1%} and finds "
        f"{again['recall']:.0%}."
    )


def _holding(results: Sequence[Result], perturbation: str, names: Names) -> str:
    """What is left to say of detectors whose false alarms stay low."""
    changed = {names[result["detector"]]: _at(result, FROZEN, perturbation) for result in results}
    highest = max(level["false_positive_rate"] for at in changed.values() for level in at)
    losses = [
        (clean["image_auroc"] - level["image_auroc"], names[result["detector"]], level)
        for result in results
        for clean in _at(result, FROZEN, CLEAN)
        for level in _at(result, FROZEN, perturbation)
    ]
    loss, name, level = max(losses, key=lambda each: each[0])
    lost = f"AUROC loses {100 * loss:.1f} points at most ({name} at {_severity(level)})"
    return (
        f"the frozen threshold holds for {', '.join(changed)}, with false alarms of {highest:.1%} "
        f"at most; {lost if loss > 0 else 'AUROC loses nothing'}."
    )


def _severity(level: Mapping[str, Any]) -> str:
    return f"{level['level']:g} {UNITS[level['perturbation']].split(',')[0]}"


def _at(result: Result, variant: str, perturbation: str) -> list[Mapping[str, Any]]:
    """Points of a perturbation."""
    wanted = (variant, perturbation)
    return [each for each in result["levels"] if (each["variant"], each["perturbation"]) == wanted]


def _measured(result: Result, variant: str | None = None) -> list[Mapping[str, Any]]:
    """Points that have figures, of a variant if there are several."""
    wanted = (level for level in result["levels"] if not level["reason"])
    return [level for level in wanted if level.get("variant") == variant]


def _by_category(results: Sequence[Result]) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result["category"], []).append(result)
    return found


def across_answers(results: Sequence[Result], names: Names) -> list[str]:
    """Per pair and detector: what is left of its figures, and what a new threshold gives back."""
    lines = []
    for result in results:
        trained = dict.fromkeys(level["train"] for level in result["levels"])
        for train in trained:
            own = [level for level in _measured(result, FROZEN) if level["train"] == train]
            again = [level for level in _measured(result, RESET) if level["train"] == train]
            reset = {level["level"]: level for level in again}
            lines += [
                f"from {train} to {there['level']}, {names[result['detector']]}: "
                + _taken_across(own[0], there, reset.get(there["level"]))
                for there in own[1:]
            ]
    return lines


def _taken_across(
    home: Mapping[str, Any], there: Mapping[str, Any], reset: Mapping[str, Any] | None
) -> str:
    text = (
        f"AUROC goes from {home['image_auroc']:.3f} to {there['image_auroc']:.3f}, false alarms "
        f"from {home['false_positive_rate']:.1%} to {there['false_positive_rate']:.1%}, "
        f"the share found from {home['recall']:.0%} to {there['recall']:.0%}"
    )
    if reset is None:
        return f"{text}."
    return (
        f"{text}; a threshold set anew there gives {reset['false_positive_rate']:.1%} and finds "
        f"{reset['recall']:.0%}."
    )


ANSWERS = {
    "training_size": training_size_answers,
    "contamination": contamination_answers,
    "robustness": robustness_answers,
    "across": across_answers,
}
