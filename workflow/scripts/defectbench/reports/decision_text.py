"""The answer in words, for the page and for the top of the Markdown table."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from defectbench.evaluation.cautions import FEWEST
from defectbench.evaluation.decision import cell_of
from defectbench.storage import read_json

MISSING = "–"

FEW = {"few_good": "good", "few_defective": "defective"}
AGAINST = {"above": "more", "below": "fewer"}
FLAGS = {
    "above": "more false alarms than asked",
    "below": "fewer false alarms than asked: the threshold is stricter than needed",
    "useless": "no better than calling every part defective",
}

AUROC_MEANS = (
    "AUROC is the chance that a defective part scores higher than a good one: 1 is perfect, 0.5 is "
    "guessing."
)
HONEST_MEANS = (
    "The honest threshold is set from defect-free training images alone, each scored by a model "
    "that did not see it, so it can be set before any defect is known."
)
ORACLE_MEANS = (
    "An oracle threshold is chosen on the labelled test images themselves: it flatters, and nobody "
    "can know it in advance."
)
INDEPENDENT_MEANS = (
    "Images are independent unless they belong to one group: photographs of one part or one module "
    "count as one image."
)
COSTS_MEAN = (
    "False alarms are expected from held-out training images, escapes from the defective test "
    "images: this threshold has seen the defects that it is judged on, and so flatters."
)
COST_MEANS = (
    "Fitting and scoring are in processor time of one thread, whatever ran beside them: fitting "
    "with the import of libraries that it needs, scoring with the map of a detector that has one. "
    "Extracting features, from an image's file on, is by the clock, on the threads that the job "
    "had. Peak memory is that of the job that fits, scores, and fits again for held-out images."
)


def title(detector: str) -> str:
    """A detector's name in a sentence."""
    method, backbone = detector.split(" ", 1)
    return f"{method} on {backbone}"


def short_names(detectors: Sequence[str]) -> dict[str, str]:
    """The method alone where no two detectors share one, else method and backbone."""
    methods = [detector.split(" ", 1)[0] for detector in detectors]
    alone = len(set(methods)) == len(methods)
    pairs = zip(detectors, methods, strict=True)
    return {detector: method if alone else title(detector) for detector, method in pairs}


def headline(decision: Mapping[str, Any]) -> str:
    """The overall verdict in one short sentence."""
    overall = decision["overall"]
    taken = overall["recommended"]
    names = short_names([entry["detector"] for entry in decision["detectors"]])
    tied = [names[name] for name in overall["tied"]]
    if overall["verdict"] == "clear":
        return f"Use {title(taken)}."
    if overall["verdict"] == "tied":
        those = _listed(tied) if len(tied) < 3 else f"{len(tied)} detectors"
        return f"No clear difference between {those}. Take {title(taken)}."
    if overall["verdict"] == "only":
        return f"{title(taken)}, the only detector that was run."
    if overall["verdict"] == "chance":
        return "No detector can be recommended."
    return "Nothing can be concluded: there are too few good or too few defective test images."


def reason(decision: Mapping[str, Any]) -> str:
    """Why the overall verdict is what it is."""
    overall = decision["overall"]
    if overall["verdict"] == "none":
        return ""
    low, high = overall["auroc_interval"]
    best = title(overall["tied"][0])
    score = f"AUROC {number(overall['auroc'])}, {bounds(low, high)}"
    if overall["verdict"] == "chance":
        return f"The first, {best}, may be no better than guessing ({score})."
    if overall["verdict"] == "only":
        return f"There is nothing to compare it with ({score})."
    if overall["verdict"] == "clear":
        value, low, high = overall["difference"]
        return (
            f"It separates defective from good parts best ({score}), ahead of the next, "
            f"{title(overall['runner_up'])}, by {value:.3f} ({low:.3f} to {high:.3f})."
        )
    names = short_names([entry["detector"] for entry in decision["detectors"]])
    equals = _listed([names[name] for name in overall["tied"][1:]])
    return (
        f"{best} ranks first ({score}), but on these test images {equals} cannot be told from it "
        f"with 95 % confidence. {title(overall['recommended'])} is the one with the fewest "
        "errors of both kinds at its threshold."
    )


def consequence(decision: Mapping[str, Any]) -> str:
    """What the thresholds of the overall detector do to 1,000 parts of either kind."""
    overall = decision["overall"]
    escapes = per_thousand(overall["escape_rate"], overall["escape_rate_interval"])
    alarms = per_thousand(overall["false_alarm_rate"], overall["false_alarm_rate_interval"])
    parts = []
    if overall["escape_rate"] is not None:
        parts.append(f"of 1,000 defective parts {escapes} slip through")
    if overall["false_alarm_rate"] is not None:
        parts.append(
            f"of 1,000 good parts {alarms} are rejected "
            f"(asked: at most {1000 * decision['asked']:.0f})"
        )
    if not parts:
        return ""
    return f"At its honest thresholds, {', and '.join(parts)}."


def warnings(decision: Mapping[str, Any]) -> list[str]:
    """What must not be missed about the thresholds recommended, one sentence per kind."""
    places: dict[str, list[str]] = {}
    for entry in decision["categories"]:
        for name in cell_of(decision, entry["category"], entry["shown"])["flags"]:
            categories = places.setdefault("few" if name in FEW else name, [])
            if entry["category"] not in categories:
                categories.append(entry["category"])
    sentences = {
        "useless": "the threshold serves no better (by F1) than calling every part defective",
        "above": "the threshold rejects more good parts than was asked",
        "few_held_out": "there are too few independent training images to promise the asked rate",
        "few": "there are too few independent test images to judge",
    }
    total = len(decision["categories"])
    return [
        f"{_places(places[name], total)}, {sentence}."
        for name, sentence in sentences.items()
        if name in places
    ]


def _places(categories: Sequence[str], total: int) -> str:
    if len(categories) == total > 1:
        return "In every category"
    if len(categories) < 4:
        return f"On {_listed(categories)}"
    return f"In {len(categories)} of {total} categories"


def category_verdict(entry: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """How sure a category's recommendation is, in a few words; detectors by their short names."""
    if entry["verdict"] == "tied":
        others = [names[name] for name in entry["tied"] if name != entry["recommended"]]
        return f"no clear difference to {_listed(others)}"
    if entry["verdict"] == "none":
        return f"cannot be judged: {entry['reason']}"
    return {
        "clear": "clearly the best",
        "only": "the only one run",
        "chance": "none is clearly better than guessing",
    }[entry["verdict"]]


def flag_texts(cell: Mapping[str, Any], asked: float) -> list[str]:
    """The flags of a cell in words."""
    few = [name for name in cell["flags"] if name in FEW]
    texts = [_flag_text(name, cell["honest"], asked) for name in cell["flags"] if name not in few]
    kinds = " and ".join(FEW[name] for name in few)
    return [*texts, f"fewer than {FEWEST} independent {kinds} test images"] if few else texts


def _flag_text(name: str, point: Mapping[str, Any], asked: float) -> str:
    if name == "few_held_out":
        return point_flags(point)[0]
    if name in ("above", "below"):
        return f"{FLAGS[name]} ({percent(asked)} asked, {percent(point['false_alarm_rate'])} seen)"
    return FLAGS[name]


def point_flags(point: Mapping[str, Any]) -> list[str]:
    """What speaks against an operating point, in words."""
    found = []
    needed, has = point["needed"], point["held_out"]
    if needed is None:
        found.append("no number of images can vouch for no false alarm at all")
    elif has < needed:
        found.append(
            f"{has} independent training images cannot vouch for {percent(point['asked'])}; "
            f"{needed:,} could"
        )
    if point["against_asked"]:
        found.append(f"{AGAINST[point['against_asked']]} false alarms than asked")
    return found


def decision_markdown(decision: Mapping[str, Any]) -> str:
    """The decision for the top of a Markdown report: sentences, then one row per category."""
    names = short_names([entry["detector"] for entry in decision["detectors"]])
    rows, mind = [], []
    for entry in decision["categories"]:
        cell = cell_of(decision, entry["category"], entry["shown"])
        point = cell["honest"]
        rows.append(
            [
                entry["category"],
                entry["recommended"] or MISSING,
                category_verdict(entry, names),
                score(point["threshold"]),
                per_thousand(point["escape_rate"], point["escape_rate_interval"]),
                per_thousand(point["false_alarm_rate"], point["false_alarm_rate_interval"]),
            ]
        )
        if flags := flag_texts(cell, decision["asked"]):
            mind.append(f"- {entry['category']}: {'; '.join(flags)}")
    header = [
        "category",
        "detector",
        "how sure",
        "threshold",
        "escapes per 1,000 defective",
        "false alarms per 1,000 good",
    ]
    cells = [[str(text).replace("|", "\\|") for text in row] for row in rows]
    parts = [
        "## Which detector, which threshold, what slips through",
        f"**{headline(decision)}** {reason(decision)} {consequence(decision)}".strip(),
        *(f"**{text}**" for text in warnings(decision)),
        tabulate(cells, header, tablefmt="github", disable_numparse=True),
        "\n".join(mind),
        f"In brackets, 95 % intervals. A part is called defective when its anomaly score reaches "
        f"the threshold. {HONEST_MEANS} {AUROC_MEANS}",
    ]
    return "\n\n".join(filter(None, parts))


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def number(value: float | None) -> str:
    """Three decimals, or a dash."""
    return MISSING if value is None else f"{value:.3f}"


def score(value: float | None) -> str:
    """An anomaly score or threshold in its own unit, six digits."""
    return MISSING if value is None else f"{value:.6g}"


def per_thousand(rate: float | None, limits: Sequence[float] | None) -> str:
    """A rate as a number of 1,000 parts, with its interval."""
    if rate is None or limits is None:
        return MISSING
    return f"{rounded_thousand(rate)} {range_thousand(limits)}"


def amount(value: float | None) -> str:
    """A time, a size or a sum to three digits, or a dash."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def rounded_thousand(rate: float | None) -> str:
    """A rate as a number of 1,000 parts."""
    return MISSING if rate is None else f"{1000 * rate:.0f}"


def range_thousand(limits: Sequence[float] | None) -> str:
    """Limits of a rate as numbers of 1,000 parts, in brackets."""
    return "" if limits is None else f"({1000 * limits[0]:.0f}–{1000 * limits[1]:.0f})"


def percent(rate: float) -> str:
    """A rate in percent, without empty decimals."""
    return f"{100 * rate:.3g} %"


def share(rate: float | None, limits: Sequence[float] | None) -> str:
    """A rate in percent, with its interval."""
    if rate is None or limits is None:
        return MISSING
    return f"{100 * rate:.1f} % ({100 * limits[0]:.1f}–{100 * limits[1]:.1f})"


def bounds(low: float | None, high: float | None) -> str:
    """An interval by itself, or nothing."""
    return "" if low is None or high is None else f"{low:.3f}–{high:.3f}"


def closing_lines(reports: Iterable[str | Path]) -> list[str]:
    """Verdict, escapes and false alarms of each decision; then where tables and pages are.

    Parameters
    ----------
    reports
        Files that a run has made or found up to date; of those, ``{dataset}_decision.json``,
        ``{dataset}_table.md`` and ``{dataset}.html`` count.
    """
    files = sorted({Path(file) for file in reports})
    answers, places = [], []
    for file in files:
        if file.name.endswith("_decision.json"):
            decision = read_json(file)
            words = f"{headline(decision)} {consequence(decision)}".strip()
            answers.append(f"{file.name.removesuffix('_decision.json')}: {words}")
        elif file.name.endswith("_table.md"):
            places.append(f"table: {file}")
        elif file.suffix == ".html":
            places.append(f"page: {file.resolve()}")
    return [*answers, *places]
