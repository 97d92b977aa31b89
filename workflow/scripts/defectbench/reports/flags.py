"""What speaks against a detector, in words and marks; `evaluation.cautions` finds it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from defectbench.evaluation.cautions import CLASSES, FEWEST, FLAGS, why_estimated
from defectbench.evaluation.cells import detector_name
from defectbench.evaluation.decision import cell_of
from defectbench.evaluation.promises import CALIBRATION, TOLERANCE
from defectbench.reports.markdown import MISSING, listed, percent, percent_range

Text = TypeVar("Text")


class Words(NamedTuple):
    """How a flag is told; ``{images}`` stands for those that set the threshold.

    Attributes
    ----------
    beside
        Short, beside a threshold.
    warning
        Above everything else, after the categories that it concerns; empty for none.
    mark, legend
        Sign at the figure and the name in a table, and its meaning below; empty for none.
    """

    beside: str
    warning: str = ""
    mark: str = ""
    legend: str = ""


TOO_FEW = Words(
    "", f"there are fewer than {FEWEST} independent test images of a kind: go by the intervals"
)
WORDS = {  # in the order of the warnings
    "known": Words(
        "test images show parts that it was made with",
        "test images show parts that training or calibration images show, too: the figures are "
        "those of known parts, and new ones may do worse",
    ),
    "useless": Words(
        "not clearly better than rejecting parts at random",
        "the share of defective parts that the threshold finds is not clearly above that of good "
        "parts that it rejects: it may do no better than rejecting parts at random",
        "✗",
        "the share of defects found at the honest threshold is not clearly above that of good "
        "images rejected",
    ),
    "above": Words(
        "more false alarms than expected",
        "the threshold rejects more good parts than its {images} let expect",
        "▲",
        "more good test images are called defective than the threshold's {images} let expect",
    ),
    "below": Words(
        "fewer false alarms than expected",
        "",
        "▼",
        "fewer good test images are called defective than the threshold's {images} let expect: a "
        "lower threshold would find more defects",
    ),
    "odd": Words(
        "{images} that look like none of the others",
        "the threshold rests on {images} that look like none of the others",
    ),
    "estimate": Words(
        "",  # why depends on the rate: see `expected`
        "the threshold is an estimate: its {images} do not support the asked rate",
    ),
    "few_good": TOO_FEW,
    "few_defective": TOO_FEW,
}


def threshold_images(promises: Iterable[Mapping[str, Any]]) -> str:
    """What the good images are that set thresholds, from what these let expect."""
    calibrated = {promised["folds"] == CALIBRATION for promised in promises}
    return listed([f"{('training', 'calibration')[each]} images" for each in sorted(calibrated)])


def marks(flags: Iterable[str], names: Sequence[str] = FLAGS) -> str:
    """Marks of those flags that are among the names."""
    return "".join(WORDS[name].mark for name in names if name in flags)


def legend(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each mark means that metrics carry, and where it holds."""
    holds: dict[str, list[str]] = {}
    for name in FLAGS:
        for entry in entries:
            if WORDS[name].mark and name in entry["flags"]:
                meaning = WORDS[name].legend.format(images=threshold_images([entry["promise"]]))
                where = f"{detector_name(entry)} on {entry['category']}"
                holds.setdefault(f"{WORDS[name].mark} {meaning}", []).append(where)
    return [f"{meaning} ({'; '.join(where)})" for meaning, where in holds.items()]


def categories_by_text(pairs: Iterable[tuple[Text, str]]) -> dict[Text, list[str]]:
    """Categories that share a text, each once; of pairs of a text and its category."""
    found: dict[Text, dict[str, None]] = {}
    for text, category in pairs:
        found.setdefault(text, {})[category] = None
    return {text: list(categories) for text, categories in found.items()}


def cautions(entries: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Categories by what must be known of their figures, in a sentence.

    Parameters
    ----------
    entries
        Metrics or cells of a decision: both carry ``category`` and ``cautions``.
    """
    return categories_by_text(
        (text, entry["category"]) for entry in entries for text in entry["cautions"]
    )


def warnings(decision: Mapping[str, Any]) -> list[str]:
    """What must not be missed about the thresholds recommended, one sentence per kind."""
    entries = decision["categories"]
    cells = [cell_of(decision, entry["category"], entry["shown"]) for entry in entries]
    found = categories_by_text(
        (WORDS[name].warning.format(images=threshold_images([cell["honest"]])), cell["category"])
        for name in WORDS
        for cell in cells
        if name in cell["flags"] and WORDS[name].warning
    )
    return [f"{_places(places, len(entries))}, {text}." for text, places in found.items()]


def _places(categories: Sequence[str], total: int) -> str:
    if len(categories) == total > 1:
        return "In every category"
    if len(categories) < 4:
        return f"On {listed(categories)}"
    return f"In {len(categories)} of {total} categories"


def flag_texts(cell: Mapping[str, Any]) -> list[str]:
    """The flags of a decision's cell, short."""
    point, flags = cell["honest"], cell["flags"]
    texts = [WORDS["known"].beside] if "known" in flags else []
    for name in ("above", "below"):
        if name in flags:
            stricter = ": the threshold is stricter than needed" if name == "below" else ""
            texts.append(f"{WORDS[name].beside}{stricter} {_rates(point, name)}")
    if "useless" in flags:
        texts.append(WORDS["useless"].beside)
    if "odd" in flags:
        who = WORDS["odd"].beside.format(images=threshold_images([point]))
        texts.append(f"{who}: {', '.join(cell['set_by']['names'])}")
    if "estimate" in flags:
        texts.append(f"the threshold is an estimate: {why_estimated(point)}")
    if few := [name for name in CLASSES if f"few_{name}" in flags]:
        texts.append(f"fewer than {FEWEST} independent {' and '.join(few)} test images")
    return texts


def _rates(point: Mapping[str, Any], name: str) -> str:
    """The rates behind a flag; the point is that of the first of several seeds."""
    if point["against_promise"] != name:
        return "with another seed"
    seen = percent(point["false_alarm_rate"])
    return f"({percent_range(point['range'])} expected, {seen} seen)"


def point_flags(point: Mapping[str, Any]) -> list[str]:
    """What speaks against an operating point, short."""
    against = point["against_promise"]
    estimate = why_estimated(point) if point["estimate"] else ""
    return list(filter(None, [estimate, WORDS[against].beside if against else ""]))


def promised(point: Mapping[str, Any]) -> str:
    """What a threshold lets expect of new good parts, short."""
    if point["expected"] is None:
        return MISSING
    expected, between = percent(point["expected"]), percent_range(point["range"])
    most = "at most " if point["at_most"] else ""
    if point["estimate"]:
        return f"an estimate: {most}{expected} on average ({between})"
    if point["rule"] == TOLERANCE:
        return f"at most {percent(point['asked'])}, in 95 of 100 cases"
    return f"{most}{expected} on average ({between})"


def promised_and_next(point: Mapping[str, Any]) -> str:
    """The same, and how many more images would let one more of them lie above."""
    text = promised(point)
    if point["estimate"] or point["next"] is None:
        return text
    more = point["next"] - point["groups"]
    kind = "groups" if point["groups"] < point["images"] else "images"
    above = f"{point['above']:.3g} of {point['groups']} {kind} above it"
    return f"{text}; {above}, one more with {more} more"
