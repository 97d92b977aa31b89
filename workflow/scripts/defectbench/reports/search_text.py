"""What a search tried and found, in words, tables and lines of config."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from defectbench.evaluation.choice import AUROC, ESCAPES
from defectbench.reports import markdown
from defectbench.reports.markdown import (
    MISSING,
    amount,
    listed,
    number,
    per_thousand,
    percent,
    thousand,
)
from defectbench.search.trials import STABILITY

MERITS = {ESCAPES: "slip through at {}, of 1,000", AUROC: "AUROC", STABILITY: "stability"}


def verdict(found: Mapping[str, Any]) -> str:
    """The set-up to take, in a sentence."""
    if found["best"] is None:
        first = next(iter(found["finalists"]))
        return (
            "No set-up can be recommended: none that was tried on all images ranks clearly better "
            "than guessing and rejects no more good parts than its training images let expect. "
            f"The first of them is {first}."
        )
    point = found["finalists"][found["best"]]
    told = f"{found['best']}, {amount(point['milliseconds'])} ms from file to score"
    if found["by"] == STABILITY:
        return f"{told}."
    return (
        f"{told}: at its own threshold {per_thousand(point, 'escape_rate')} of 1,000 defective "
        f"parts slip through and {per_thousand(point, 'false_alarm_rate')} of 1,000 good ones are "
        "rejected."
    )


def how(found: Mapping[str, Any], asked: float) -> str:
    """How it was chosen, in sentences."""
    tried = [each for each in found["tried"] if not each["problem"]]
    parts, finalists = found["parts"], len(found["finalists"])
    on_parts = [f"{count:,}" for count in parts]
    told = (
        f"{len(found['tried'])} of {found['set_ups']} set-ups were tried ({found['budget']}), "
        f"{finalists} of them on all {parts[-1]:,} images"
    )
    if len(parts) > 1:
        told += f"; the others were dropped after fewer ({listed(on_parts[:-1])})"
    refused = len(found["tried"]) - len(tried)
    if refused:
        told += f"; {refused} could not be used"
    return f"{told}. {_compared(found['by'], asked)}"


def _compared(by: str, asked: float) -> str:
    if by == STABILITY:
        return (
            "There is no defective test image, so nothing is promised of what is found: compared "
            "are the stability of held-out scores (how near to the other good images those lie "
            "that set the threshold) and, of those nearly as stable as the best, the time."
        )
    what = (
        f"what slips through where good test images set {percent(asked)}"
        if by == ESCAPES
        else f"AUROC, because {percent(asked)} takes more independent good test images to see"
    )
    return (
        f"They are compared by {what}; of those that at most one defective image tells from the "
        "best, the fastest is taken. One that rejects more good parts than its training images let "
        "expect is passed over."
    )


def nested(found: Mapping[str, Any]) -> str:
    """How far these images flatter the choice; empty where that is not known."""
    own, best = found["nested"], found["best"]
    if own is None or best is None or own["escape_rate"] is None:
        return ""
    seen = found["finalists"][best]
    pairs = {"escape_rate": "slip through", "false_alarm_rate": "are rejected"}
    kinds = {"escape_rate": "defective", "false_alarm_rate": "good"}
    told = [
        f"{thousand(own[rate])} of 1,000 {kinds[rate]} parts {what} (on those that chose: "
        f"{thousand(seen[rate])})"
        for rate, what in pairs.items()
        if own[rate] is not None
    ]
    return (
        f"What to expect: of images that did not choose, about {listed(told)}. Each tenth of the "
        "test images is judged by the set-up that the other nine tenths choose among the last."
    )


def columns(found: Mapping[str, Any], asked: float) -> markdown.Columns:
    """Of the table of what was tried."""
    merit = MERITS[found["by"]].format(percent(asked))
    points = found["finalists"]

    def own(rate: str) -> Any:
        def cell(row: Mapping[str, Any]) -> str:
            name = row["name"]
            return per_thousand(points[name], rate) if name in points else MISSING

        return cell

    def of_merit(row: Mapping[str, Any]) -> str:
        if row["problem"]:
            return MISSING
        if found["by"] == ESCAPES:
            return thousand(1 - row["merit"])
        return number(row["merit"])

    table: markdown.Columns = {
        "set-up": lambda row: f"**{row['name']}**" if row["name"] == found["best"] else row["name"],
        "images": lambda row: f"{row['images']:,}",
        merit: of_merit,
    }
    if found["by"] == ESCAPES:
        table["AUROC"] = lambda row: MISSING if row["problem"] else number(row["auroc"])
    if found["by"] != STABILITY:
        table["escapes per 1,000 at its threshold"] = own("escape_rate")
        table["false alarms per 1,000"] = own("false_alarm_rate")
    table["ms"] = lambda row: MISSING if row["problem"] else amount(row["milliseconds"])
    table["mind"] = lambda row: row["problem"] or _flags(points.get(row["name"]))
    return table


def _flags(point: Mapping[str, Any] | None) -> str:
    if point is None:
        return ""
    told = {"above": "rejects more than expected", "estimate": "its threshold is an estimate"}
    return ", ".join(words for flag, words in told.items() if flag in point["flags"])


def config_lines(
    dataset: str, category: str, entry: Mapping[str, Any], found: Mapping[str, Any], file: str
) -> str:
    """The winner as a config: `make run CONFIG=` the file that holds these lines.

    Parameters
    ----------
    dataset, category
        That were searched.
    entry
        Of the dataset in the config.
    found
        From `search.outcome.outcome`.
    file
        Where that lies, for the page of the new dataset.
    """
    (method,) = found["config"]["methods"]
    own = {key: value for key, value in entry.items() if value is not None}
    own |= {"all_categories": [category], "methods": [method], "chosen_by": file}
    name = re.sub(r"[^A-Za-z0-9_-]", "_", f"{dataset}_{category}")
    lines = []
    for key in ("preprocessings", "methods"):
        lines += [f"{key}:", *(_line(*each) for each in found["config"][key].items())]
    return "\n".join([*lines, "datasets:", _line(name, own)]) + "\n"


def _line(name: str, entry: Mapping[str, Any]) -> str:
    text = yaml.safe_dump(
        dict(entry), default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True
    )
    return f"  {name}: {text.strip()}"
