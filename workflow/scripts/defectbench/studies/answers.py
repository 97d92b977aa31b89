"""The studies' answers in words, by category: what was asked, as far as the images can tell."""

from collections.abc import Sequence

from defectbench.studies.paired import difference
from defectbench.studies.phrases import PHRASES, TOO_FEW, Names, changes, severity, shown
from defectbench.studies.results import CLEAN, Level, Result, Variant, measured
from defectbench.studies.size_answers import training_size_answers

STOPS = 2.0
"""A threshold has failed where false alarms are more than so many times what was asked for."""

NOTHING = 0.05
"""Share found below which a detector is blind."""


def contamination_answers(results: Sequence[Result], names: Names) -> list[str]:
    """By detector its figures at the largest share, with the remedy, and what the remedy costs."""
    return [f"{each['category']}, {names[each['detector']]}: {_spoiled(each)}" for each in results]


def _spoiled(result: Result) -> str:
    plain = measured(result, variant=Variant.PLAIN)
    if len(plain) < 2 or plain[0]["level"]:
        return "no clean and no contaminated point to compare; no answer."
    clean, worst = plain[0], plain[-1]
    figures = ("image_auroc", "recall", "false_positive_rate")
    text = f"with {worst['level']:.0%} bad images {changes(clean, worst, *figures)}"
    trimming = f"trimming {result['settings']['trimmed']:.0%}"
    for remedy in measured(result, variant=Variant.TRIMMED, level=worst["level"]):
        text += f"; {trimming} brings {_brought(remedy, figures)}"
    for remedy in measured(result, variant=Variant.TRIMMED, level=clean["level"]):
        text += f"; where no image is bad, with {trimming} {changes(clean, remedy, *figures)}"
    return f"{text}."


def _brought(level: Level, figures: Sequence[str]) -> str:
    """What a remedy brings figures to."""
    return ", ".join(f"{PHRASES[figure][0]} to {shown(level, figure)}" for figure in figures)


def robustness_answers(results: Sequence[Result], names: Names) -> list[str]:
    """By perturbation the detectors whose false alarms stop the line, where, and what setting the
    threshold anew gives back; those whose threshold holds; and those of which neither is sure."""
    category = results[0]["category"]
    stopped = [each for each in results if _stops(_clean(each), each)]
    lines = [
        f"{category}: {line}" for line in (*_stopped_clean(stopped, names), *_blind(results, names))
    ]
    going = [each for each in results if each not in stopped]
    perturbations = (level["perturbation"] for each in results for level in each["levels"])
    for perturbation in dict.fromkeys(name for name in perturbations if name != CLEAN):
        lines += [
            f"{category}, {perturbation}{line}" for line in _changed(going, perturbation, names)
        ]
    return lines


def _clean(result: Result) -> Level:
    (clean,) = measured(result, variant=Variant.FROZEN, perturbation=CLEAN)
    return clean


def _limit(result: Result) -> float:
    """Share of false alarms above which the line stops."""
    return STOPS * result["false_positive_rate"]


def _stops(level: Level, result: Result) -> bool:
    """Whether false alarms stop the line for sure."""
    return level["intervals"]["false_positive_rate"][0] > _limit(result)


def _holds(level: Level, result: Result) -> bool:
    """Whether they do not, for sure."""
    return level["intervals"]["false_positive_rate"][1] <= _limit(result)


def _stopped_clean(results: Sequence[Result], names: Names) -> list[str]:
    return [
        f"false alarms of {names[each['detector']]} stop the line on clean images already: "
        f"{shown(_clean(each), 'false_positive_rate')}."
        for each in results
    ]


def _blind(results: Sequence[Result], names: Names) -> list[str]:
    """Detectors that find next to nothing on clean images: that they raise no alarm says little."""
    found = [
        f"{names[result['detector']]} ({shown(frozen, 'recall')}; {shown(reset, 'recall')} with a "
        "threshold set on good test images)"
        for result in results
        for frozen in measured(result, variant=Variant.FROZEN, perturbation=CLEAN)
        for reset in measured(result, variant=Variant.RESET, perturbation=CLEAN)
        if frozen["recall"] < NOTHING
    ]
    if not found:
        return []
    return [
        "the frozen threshold found next to nothing of these clean images already, so that few "
        f"false alarms are no merit: {', '.join(found)}."
    ]


def _changed(results: Sequence[Result], perturbation: str, names: Names) -> list[str]:
    """What becomes of a line whose images change in one way."""
    lines: list[str] = []
    holding: list[tuple[Result, list[Level]]] = []
    unsure: list[tuple[Result, list[Level]]] = []
    for result in results:
        levels = measured(result, variant=Variant.FROZEN, perturbation=perturbation)
        over = [level for level in levels if _stops(level, result)]
        if over:
            first = min(over, key=lambda level: abs(level["level"]))
            lines.append(f", {names[result['detector']]}: {_stopped(result, first)}")
        elif all(_holds(level, result) for level in levels):
            holding.append((result, levels))
        else:
            unsure.append((result, levels))
    lines += [f": {_holding(holding, names)}"] if holding else []
    return lines + ([f": {_unsure(unsure, names)}"] if unsure else [])


def _stopped(result: Result, level: Level) -> str:
    clean = _clean(result)
    return (
        f"false alarms stop the line at {severity(level)}: {shown(level, 'false_positive_rate')} "
        f"(clean images: {shown(clean, 'false_positive_rate')}), AUROC "
        f"{shown(level, 'image_auroc')}, of clean images {shown(clean, 'image_auroc')}"
        f"{_set_anew(result, level)}."
    )


def _holding(results: Sequence[tuple[Result, Sequence[Level]]], names: Names) -> str:
    """False alarms and lost AUROC of the detectors whose threshold holds, at most."""
    detectors = ", ".join(names[result["detector"]] for result, _ in results)
    losses = [
        (difference(_clean(result), level, share=0), names[result["detector"]], level)
        for result, levels in results
        for level in levels
    ]
    loss, name, level = max(losses, key=lambda each: each[0].value)
    lost = f"AUROC loses at most {loss} ({name} at {severity(level)})"
    return (
        f"the frozen threshold holds for {detectors}: false alarms are "
        f"{shown(_worst(results), 'false_positive_rate')} at most, on these images "
        f"{lost if loss.value > 0 else 'AUROC loses nothing'}."
    )


def _unsure(results: Sequence[tuple[Result, Sequence[Level]]], names: Names) -> str:
    detectors = ", ".join(names[result["detector"]] for result, _ in results)
    found = shown(_worst(results), "false_positive_rate")
    return f"{TOO_FEW} whether the frozen threshold holds for {detectors} (false alarms {found})."


def _worst(results: Sequence[tuple[Result, Sequence[Level]]]) -> Level:
    """The point of the most false alarms."""
    points = [level for _, levels in results for level in levels]
    return max(points, key=lambda level: level["intervals"]["false_positive_rate"][::-1])


def across_answers(results: Sequence[Result], names: Names) -> list[str]:
    """By detector and pair what is left of its figures, and what a new threshold gives back."""
    lines = []
    for result in results:
        for train in dict.fromkeys(level["train"] for level in result["levels"]):
            points = measured(result, variant=Variant.FROZEN, train=train)
            for there in points[1:]:  # the detector's own test images come first
                figures = changes(points[0], there, "image_auroc", "false_positive_rate", "recall")
                where = f"from {train} to {there['level']}, {names[result['detector']]}"
                lines.append(f"{where}: {figures}{_set_anew(result, there)}.")
    return lines


def _set_anew(result: Result, frozen: Level) -> str:
    """What a threshold set anew gives at the same point; empty where there are too few images."""
    same = {key: frozen.get(key) for key in ("train", "perturbation", "level")}
    for reset in measured(result, variant=Variant.RESET, **same):
        return (
            f"; a threshold set anew there gives {shown(reset, 'false_positive_rate')} and finds "
            f"{shown(reset, 'recall')}"
        )
    return ""


ANSWERS = {
    "training_size": training_size_answers,
    "contamination": contamination_answers,
    "robustness": robustness_answers,
    "across": across_answers,
}
