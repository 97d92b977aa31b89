"""The decision in words, for the page and the top of the table."""

from collections.abc import Mapping, Sequence
from typing import Any

from defectbench.evaluation.decision import cell_of
from defectbench.evaluation.promises import CALIBRATION, TOLERANCE
from defectbench.reports import choice_text
from defectbench.reports.choice_text import nested, title
from defectbench.reports.flags import (
    categories_by_text,
    flag_texts,
    promised,
    threshold_images,
    warnings,
)
from defectbench.reports.markdown import (
    listed,
    per_thousand,
    percent,
    score,
    share,
    thousand,
    threshold,
)
from defectbench.reports.rendering import render
from defectbench.reports.usability_text import NONE, UNJUDGED, advice, verdict, why


def short_names(detectors: Sequence[str]) -> dict[str, str]:
    """The method alone where no two detectors share one, else method and backbone."""
    methods = {detector: detector.partition(" ")[0] for detector in detectors}
    if len(set(methods.values())) == len(methods):
        return methods
    return {detector: title(detector) for detector in detectors}


def headline(decision: Mapping[str, Any]) -> str:
    """The overall verdict in one short sentence."""
    overall = decision["overall"]
    taken = overall["recommended"]
    names = short_names([entry["detector"] for entry in decision["detectors"]])
    tied = [names[name] for name in overall["tied"]]
    if overall["verdict"] == "clear":
        return f"{title(taken)} is the best."
    if overall["verdict"] == "tied":
        those = listed(tied) if len(tied) < 3 else f"{len(tied)} detectors"
        return f"No clear difference between {those}; {title(taken)} comes first."
    if overall["verdict"] == "keeps":
        return f"{title(taken)} is the only one that keeps what its threshold promises."
    if overall["verdict"] == "only":
        return f"{title(taken)}, the only detector that was run."
    if overall["verdict"] in ("chance", "breaks"):
        return "No detector can be recommended."
    return f"Nothing can be concluded: {without_ranking(decision)}."


def without_ranking(decision: Mapping[str, Any]) -> str:
    """Why detectors cannot be ranked, by category where the reasons differ."""
    found = categories_by_text(
        (entry["reason"], entry["category"]) for entry in decision["categories"] if entry["reason"]
    )
    if len(found) == 1:
        return next(iter(found))
    return "; ".join(f"{text} on {listed(places)}" for text, places in found.items())


def found_of(point: Mapping[str, Any]) -> str:
    """How many of the defective test images a threshold finds, and how many it misses."""
    if point["escape_rate"] is None:
        return "no defective test images: what it finds is not known"
    found, missed = (f"{point[name]:g}" for name in ("found", "escapes"))
    total = f"{point['found'] + point['escapes']:g}"
    return f"{found} of {total} defective test images found, {missed} missed"


def standing(decision: Mapping[str, Any]) -> str:
    """Whether that can be used, where and why not; empty where none can be judged."""
    entries = decision["categories"]
    pairs = [
        ((verdict(each, shown), why(each, shown)), each["category"])
        for each in entries
        for shown in [_shown(decision, each)]
    ]
    found = categories_by_text(pairs)
    if {text for text, _ in found} <= {NONE, UNJUDGED}:
        return ""
    told = []
    for (text, because), places in found.items():
        where = "" if len(places) == len(entries) else f" on {listed(places)}"
        told.append(": ".join(filter(None, [f"{text}{where}", because])))
    sentence = "; ".join(told)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _shown(decision: Mapping[str, Any], entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return cell_of(decision, entry["category"], entry["shown"])


def use(decision: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    """Whether the detector of a category can be used, in a few words."""
    return verdict(entry, _shown(decision, entry))


def help_of(decision: Mapping[str, Any], entry: Mapping[str, Any]) -> list[str]:
    """What would help most on a category, sentences; the first most."""
    cell = _shown(decision, entry)
    return [advice(cell, each, decision["limits"]) for each in entry["advice"]]


def helps(decision: Mapping[str, Any]) -> dict[str, list[str]]:
    """What would help most, by the categories that share it."""
    told = [
        (tuple(help_of(decision, entry)), entry["category"]) for entry in decision["categories"]
    ]
    found = categories_by_text((texts, category) for texts, category in told if texts)
    return {", ".join(places): list(texts) for texts, places in found.items()}


def limits(decision: Mapping[str, Any]) -> str:
    """What the verdicts are measured by."""
    escapes, alarms = (thousand(decision["limits"][name]) for name in ("escapes", "false_alarms"))
    return (
        f"Usable: at most {escapes} of 1,000 defective parts slip through and at most {alarms} of "
        "1,000 good parts are rejected; as it is, where the 95 % intervals say so, within limits, "
        "where the figures alone do."
    )


def reason(decision: Mapping[str, Any]) -> str:
    """Why the overall verdict is what it is."""
    names = short_names([entry["detector"] for entry in decision["detectors"]])
    return choice_text.reason(decision, names)


def consequence(decision: Mapping[str, Any]) -> str:
    """What the thresholds of the overall detector do to 1,000 parts of either kind."""
    overall = decision["overall"]
    parts = []
    if overall["escape_rate"] is not None:
        escapes = per_thousand(overall, "escape_rate")
        parts.append(f"of 1,000 defective parts {escapes} slip through")
    if overall["false_alarm_rate"] is not None:
        parts.append(
            f"of 1,000 good parts {per_thousand(overall, 'false_alarm_rate')} are rejected "
            f"(asked: {asked(decision)})"
        )
    if not parts:
        return ""
    several = "over all test images together, " if len(decision["categories"]) > 1 else ""
    whose = (
        "At its honest thresholds"
        if overall["recommended"]
        else f"At the honest thresholds of {title(overall['shown'])}"
    )
    told = f"{whose}, {several}{', and '.join(parts)}."
    return " ".join(filter(None, [told, nested(decision), on_the_line(decision)]))


def on_the_line(decision: Mapping[str, Any]) -> str:
    """What the thresholds do on a line with the given share of defective parts; empty without."""
    line = decision["overall"]["line"]
    if line is None:
        return ""
    rejected = per_thousand(line, "rejected_rate")
    told = (
        f"Where {percent(decision['defective_share'])} of the parts are defective, {rejected} of "
        "1,000 parts are rejected"
    )
    if line["defective_rate"] is None:
        return f"{told}."
    really = share(line["defective_rate"], line["defective_rate_interval"])
    return f"{told}, and of those {really} are really defective."


def asked(decision: Mapping[str, Any]) -> str:
    """How many of 1,000 good parts the thresholds may reject by their rule."""
    count = thousand(decision["asked"])
    shown = [cell_of(decision, each["category"], each["shown"]) for each in decision["categories"]]
    estimate = ", by an estimate" if any(cell["honest"]["estimate"] for cell in shown) else ""
    if decision["rule"] == TOLERANCE:
        return f"at most {count}, in 95 of 100 cases{estimate}"
    return f"{count} on average{estimate}"


def category_verdict(entry: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """How sure a category's recommendation is, in a few words; detectors by their short names."""
    if entry["verdict"] == "tied":
        others = [names[name] for name in entry["tied"] if name != entry["recommended"]]
        return f"no clear difference to {listed(others)}"
    if entry["verdict"] == "none":
        return f"cannot be judged: {entry['reason']}"
    return {
        "clear": "clearly the best",
        "only": "the only one run",
        "keeps": "the only one that keeps what its threshold promises",
        "chance": "none is clearly better than guessing",
        "breaks": "none keeps what its threshold promises",
    }[entry["verdict"]]


def who_sets(cell: Mapping[str, Any]) -> str:
    """Which good images set a cell's threshold alone or look like no other, in a sentence."""
    found = cell["set_by"]
    kind = "score" if cell["honest"]["folds"] == CALIBRATION else "held-out score"
    s = "" if len(found["names"]) > 1 else "s"
    what = [f"look{s} like none of the others"] * found["odd"]
    what += [f"set{s} the threshold alone"] * found["alone"]
    each = f", {found['images']} images with the median" if found["images"] > 1 else ", with the"
    median = f"{each} {kind} {score(found['median_score'])},"
    return f"{listed(found['names'])}{median} {' and '.join(what)}."


def with_and_without(cell: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The threshold with those images and without them; by how it is set, figures of each.

    Returns
    -------
    dict
        Of each ``threshold``, ``found_rate``, ``false_alarm_rate``.
    """
    them = "them" if len(cell["set_by"]["names"]) > 1 else "it"
    points = {f"with {them}": cell["honest"], f"without {them}": cell["set_by"]}
    if fitted_without := cell["set_by"]["fitted_without"]:
        points[f"of a detector fitted without {them}, too"] = fitted_without
    return points


def decision_markdown(decision: Mapping[str, Any]) -> str:
    """The decision for the top of a Markdown report: sentences, then one row per category."""
    names = short_names([entry["detector"] for entry in decision["detectors"]])
    rows, mind, helps = [], {}, {}
    for entry in decision["categories"]:
        cell = cell_of(decision, entry["category"], entry["shown"])
        point = cell["honest"]
        rows.append(
            [
                entry["category"],
                entry["recommended"] or f"none; figures of {names[entry['shown']]}",
                category_verdict(entry, names),
                use(decision, entry),
                threshold(point["threshold"], cell["threshold_range"]),
                promised(point),
                per_thousand(point, "escape_rate"),
                per_thousand(point, "false_alarm_rate"),
            ]
        )
        if flags := flag_texts(cell):
            mind[entry["category"]] = flags
        if told := help_of(decision, entry):
            helps[entry["category"]] = told
    bold = " ".join(filter(None, [headline(decision), standing(decision)]))
    answer = f"**{bold}** {reason(decision)} {consequence(decision)}".strip()
    return render(
        "decision.md",
        answer=answer,
        warnings=warnings(decision),
        rows=rows,
        mind=mind,
        helps=helps,
        limits=limits(decision),
        images=threshold_images(cell["honest"] for cell in decision["cells"]),
        seeds=any(cell["threshold_range"] for cell in decision["cells"]),
    )
