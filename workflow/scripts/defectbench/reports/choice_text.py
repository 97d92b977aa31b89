"""Why a detector is chosen, and how far its figures are to be believed, in words."""

from collections.abc import Mapping
from typing import Any

from defectbench.evaluation.choice import ESCAPES
from defectbench.reports.markdown import (
    bounds,
    listed,
    number,
    per_thousand,
    percent,
    thousand,
)


def title(detector: str) -> str:
    """A detector's name in a sentence."""
    return detector.replace(" ", " on ", 1)


def reason(decision: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Why the overall verdict is what it is; detectors by their short names.

    Empty where nothing was measured.
    """
    overall = decision["overall"]
    verdict, figures = overall["verdict"], _figures(decision)
    if verdict == "none":
        return ""
    best = title(overall["tied"][0])
    if verdict == "chance":
        return f"The first, {best}, may be no better than guessing ({figures})."
    if verdict == "breaks":
        return (
            "Each rejects more good parts than was to be expected, also the first, "
            f"{best} ({figures})."
        )
    if verdict == "keeps":
        return f"No other can be compared with it ({figures}). {_passed_over(overall, names)}"
    if verdict == "only":
        return f"There is nothing to compare it with ({figures})."
    who = "It" if verdict == "clear" else best
    if overall["passed_over"]:
        who = f"Of the detectors that keep what their threshold promises, {best}"
    told = f"{who} {_merit(decision)} ({figures})"
    if verdict == "clear":
        told = f"{told}, {_lead(overall)}."
    else:
        equals = listed([names[name] for name in overall["tied"][1:]])
        told = f"{told}, but on these test images {equals} cannot be told from it{_all(overall)}."
    return " ".join(filter(None, [told, _passed_over(overall, names), _basis(decision)]))


def _merit(decision: Mapping[str, Any]) -> str:
    if decision["overall"]["by"] == ESCAPES:
        rate = percent(decision["asked"])
        return f"lets the fewest defects slip through where good test parts set {rate}"
    return "separates defective from good parts best"


def _figures(decision: Mapping[str, Any]) -> str:
    """What the best one is ranked by, and its AUROC."""
    overall = decision["overall"]
    auroc = f"AUROC {number(overall['auroc'])}, {bounds(overall['auroc_interval'])}"
    if overall["by"] != ESCAPES:
        return auroc
    return f"{per_thousand(overall['at_rate'], 'escape_rate')} of 1,000 slip through; {auroc}"


def _lead(overall: Mapping[str, Any]) -> str:
    """How far ahead of the next it is."""
    value, low, high = overall["difference"]
    ahead = f"ahead of the next, {title(overall['runner_up'])}, by"
    if overall["by"] == ESCAPES:
        lead = f"{ahead} {thousand(value)} of 1,000 ({thousand(low)} to {thousand(high)})"
    else:
        lead = f"{ahead} {value:.3f} ({low:.3f} to {high:.3f})"
    return lead + _all(overall)


def _all(overall: Mapping[str, Any]) -> str:
    """For how many comparisons together that holds."""
    others = overall["compared"] - len(overall["passed_over"]) - 1
    sure = " with 95 % confidence"
    return f"{sure}, for all {others} comparisons together" if others > 1 else sure


def _passed_over(overall: Mapping[str, Any], names: Mapping[str, str]) -> str:
    passed = [names[name] for name in overall["passed_over"]]
    if not passed:
        return ""
    whose = "their" if len(passed) > 1 else "its"
    return (
        f"{listed(passed)} cannot be taken: {whose} own threshold rejects "
        "more good parts than was to be expected."
    )


def _basis(decision: Mapping[str, Any]) -> str:
    """Why detectors are compared by AUROC, where they are."""
    overall = decision["overall"]
    few = [
        (cell["category"], cell["at_rate"])
        for cell in decision["cells"]
        if cell["detector"] == overall["tied"][0]
        and cell["at_rate"]["groups"] < (cell["at_rate"]["needed"] or 0)
    ]
    if overall["by"] == ESCAPES or not few:
        return ""
    category, found = few[0]
    return (
        f"They are compared by AUROC: what slips through at {percent(decision['asked'])} takes "
        f"{found['needed']} independent good test images to see, and {category} has "
        f"{found['groups']}."
    )


def nested(decision: Mapping[str, Any]) -> str:
    """What the choice does to images that did not make it; empty where there was none to make.

    Without intervals: those of the rates would not hold for one detector, because several may have
    been chosen (reports/choices.md).
    """
    overall = decision["overall"]
    found = overall["nested"]
    if found is None:
        return ""
    parts = []
    if found["escape_rate"] is not None:
        slip = thousand(found["escape_rate"])
        parts.append(f"about {slip} of 1,000 defective parts slip through")
    if found["false_alarm_rate"] is not None:
        rejected = thousand(found["false_alarm_rate"])
        parts.append(f"about {rejected} of 1,000 good parts are rejected")
    if not parts:
        return ""
    return (
        f"These images chose it among {overall['compared']} detectors, which may flatter it: of "
        "images that did not choose (each tenth of them by the choice of the others), "
        f"{' and '.join(parts)}."
    )
