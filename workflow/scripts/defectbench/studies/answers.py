"""The studies' answers in words, by category: what was asked, as far as the images can tell."""

from collections.abc import Mapping, Sequence

from defectbench.studies.perturbed_features import unit
from defectbench.studies.results import CLEAN, Level, Result, Variant, measured

POINT = 0.01
"""A point of AUROC: less is no difference worth a photograph."""

STOPS = 2.0
"""A threshold has failed where false alarms are so many times what was asked for, or of clean
images, whichever is more."""

NOTHING = 0.05
"""Share found below which a detector is blind."""

PHRASES = {
    "image_auroc": ("AUROC", ".3f"),
    "false_positive_rate": ("false alarms", ".1%"),
    "recall": ("the share found", ".0%"),
}
"""What a figure is called in an answer, and with how many digits it stands there."""

Names = Mapping[str, str]


def training_size_answers(results: Sequence[Result], names: Names) -> list[str]:
    """By detector the smallest number within one point of all, and whether the threshold keeps its
    promise; whether the ranking of detectors turns around."""
    category = results[0]["category"]
    return [
        *(f"{category}, {names[each['detector']]}: {_smallest_number(each)}" for each in results),
        *(f"{category}: {line}" for line in _ranking_turns(results, names)),
    ]


def _smallest_number(result: Result) -> str:
    levels = measured(result)
    if len(levels) < 2:
        return "fewer than two sizes could be measured; no answer."
    last, before = levels[-1], levels[-2]
    # from the right: a small number that was lucky does not count where a larger one is worse
    enough = len(levels) - 1
    while enough and levels[enough - 1]["image_auroc"] >= last["image_auroc"] - POINT:
        enough -= 1
    low, high = last["intervals"]["image_auroc"]
    width = f"the interval of all is {low:.3f} to {high:.3f}"
    first = levels[enough]
    if first is last:
        gain = 100 * (last["image_auroc"] - before["image_auroc"])
        text = (
            f"more than you have ({last['images']:.0f}): from {before['images']:.0f} images on "
            f"the last step still gained {gain:.1f} points, to {last['image_auroc']:.3f}"
        )
    else:
        text = (
            f"the smallest number within one point of all is {first['images']:.0f} "
            f"({first['image_auroc']:.3f}, all {last['images']:.0f}: {last['image_auroc']:.3f})"
        )
    return f"{text}; {width}. {_promise(levels, result['false_positive_rate'])}"


def _promise(levels: Sequence[Level], asked: float) -> str:
    """From which number on the threshold keeps the false-positive rate that was asked for."""
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
    levels = [{level["level"]: level for level in measured(result)} for result in results]
    common = [size for size in levels[0] if all(size in own for own in levels)]
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
    """By detector its figures at the largest share, and with the remedy."""
    return [f"{each['category']}, {names[each['detector']]}: {_spoiled(each)}" for each in results]


def _spoiled(result: Result) -> str:
    plain = measured(result, variant=Variant.PLAIN)
    if len(plain) < 2 or plain[0]["level"]:
        return "no clean and no contaminated point to compare; no answer."
    clean, worst = plain[0], plain[-1]
    changes = _changes(clean, worst, "image_auroc", "recall", "false_positive_rate")
    text = f"with {worst['level']:.0%} bad images {changes}"
    for remedy in measured(result, variant=Variant.TRIMMED, level=worst["level"]):
        text += (
            f"; trimming {result['settings']['trimmed']:.0%} brings AUROC to "
            f"{remedy['image_auroc']:.3f}, the share found to {remedy['recall']:.0%} and false "
            f"alarms to {remedy['false_positive_rate']:.1%}"
        )
    return f"{text}."


def robustness_answers(results: Sequence[Result], names: Names) -> list[str]:
    """By perturbation the detectors whose false alarms stop the line, where, and what setting the
    threshold anew gives back; and those whose threshold holds."""
    category = results[0]["category"]
    lines = [f"{category}: {line}" for line in _blind(results, names)]
    perturbations = (level["perturbation"] for result in results for level in result["levels"])
    for perturbation in dict.fromkeys(name for name in perturbations if name != CLEAN):
        where, holding = f"{category}, {perturbation}", []
        for result in results:
            if stopped := _stopped(result, perturbation):
                lines.append(f"{where}, {names[result['detector']]}: {stopped}")
            else:
                holding.append(result)
        if holding:
            lines.append(f"{where}: {_holding(holding, perturbation, names)}")
    return lines


def _blind(results: Sequence[Result], names: Names) -> list[str]:
    """Detectors that find next to nothing on clean images: that they raise no alarm says little."""
    found = [
        f"{names[result['detector']]} ({frozen['recall']:.1%}; {reset['recall']:.0%} with a "
        "threshold set on good test images)"
        for result in results
        for frozen in measured(result, variant=Variant.FROZEN, perturbation=CLEAN)
        for reset in measured(result, variant=Variant.RESET, perturbation=CLEAN)
        if frozen["recall"] < NOTHING
    ]
    if not found:
        return []
    return [
        "the frozen threshold finds next to nothing on clean images already, so that few false "
        f"alarms are no merit: {', '.join(found)}."
    ]


def _stopped(result: Result, perturbation: str) -> str:
    """Where false alarms stop the line; empty where they do not."""
    (clean,) = measured(result, variant=Variant.FROZEN, perturbation=CLEAN)
    limit = STOPS * max(result["false_positive_rate"], clean["false_positive_rate"])
    over = [
        level
        for level in measured(result, variant=Variant.FROZEN, perturbation=perturbation)
        if level["false_positive_rate"] > limit
    ]
    if not over:
        return ""
    first = min(over, key=lambda level: abs(level["level"]))
    return (
        f"false alarms stop the line at {_severity(first)}: {first['false_positive_rate']:.0%} "
        f"instead of {clean['false_positive_rate']:.1%}, AUROC {first['image_auroc']:.3f} instead "
        f"of {clean['image_auroc']:.3f}{_set_anew(result, first)}."
    )


def _holding(results: Sequence[Result], perturbation: str, names: Names) -> str:
    """False alarms and lost AUROC of the detectors whose threshold holds, at most."""
    losses, rates = [], []
    for result in results:
        (clean,) = measured(result, variant=Variant.FROZEN, perturbation=CLEAN)
        for level in measured(result, variant=Variant.FROZEN, perturbation=perturbation):
            loss = clean["image_auroc"] - level["image_auroc"]
            losses.append((loss, names[result["detector"]], level))
            rates.append(level["false_positive_rate"])
    loss, name, level = max(losses, key=lambda each: each[0])
    lost = f"AUROC loses {100 * loss:.1f} points at most ({name} at {_severity(level)})"
    return (
        f"the frozen threshold holds for {', '.join(names[each['detector']] for each in results)}, "
        f"with false alarms of {max(rates):.1%} at most; "
        f"{lost if loss > 0 else 'AUROC loses nothing'}."
    )


def _severity(level: Level) -> str:
    return f"{level['level']:g} {unit(level['perturbation']).split(',')[0]}"


def across_answers(results: Sequence[Result], names: Names) -> list[str]:
    """By detector and pair what is left of its figures, and what a new threshold gives back."""
    lines = []
    for result in results:
        for train in dict.fromkeys(level["train"] for level in result["levels"]):
            shown = measured(result, variant=Variant.FROZEN, train=train)
            for there in shown[1:]:  # the detector's own test images come first
                changes = _changes(shown[0], there, "image_auroc", "false_positive_rate", "recall")
                where = f"from {train} to {there['level']}, {names[result['detector']]}"
                lines.append(f"{where}: {changes}{_set_anew(result, there)}.")
    return lines


def _changes(before: Level, after: Level, *figures: str) -> str:
    """What becomes of figures: "AUROC goes from 0.900 to 0.800, false alarms from …"."""
    parts = []
    for figure in figures:
        name, digits = PHRASES[figure]
        goes = "" if parts else " goes"
        parts.append(f"{name}{goes} from {before[figure]:{digits}} to {after[figure]:{digits}}")
    return ", ".join(parts)


def _set_anew(result: Result, frozen: Level) -> str:
    """What a threshold set anew gives at the same point; empty where there are too few images."""
    same = {key: frozen.get(key) for key in ("train", "perturbation", "level")}
    for reset in measured(result, variant=Variant.RESET, **same):
        return (
            f"; a threshold set anew there gives {reset['false_positive_rate']:.1%} and finds "
            f"{reset['recall']:.0%}"
        )
    return ""


ANSWERS = {
    "training_size": training_size_answers,
    "contamination": contamination_answers,
    "robustness": robustness_answers,
    "across": across_answers,
}
