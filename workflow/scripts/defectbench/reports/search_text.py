"""What a search tried and found, in words, tables and lines of config."""

import re
from collections.abc import Mapping
from operator import itemgetter
from typing import Any, NamedTuple

import yaml

from defectbench.evaluation.choice import ESCAPES, STABILITY
from defectbench.reports import markdown
from defectbench.reports.markdown import (
    amount,
    listed,
    number,
    per_thousand,
    percent,
    thousand,
)


def verdict(found: Mapping[str, Any]) -> str:
    """The set-up to take, in a sentence."""
    if found["best"] is None:
        first = next(iter(found["finalists"]))
        return (
            "No set-up can be recommended: none that was tried on all images ranks clearly better "
            "than guessing and rejects no more good parts than was to be expected. "
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
            "are the stability of held-out scores (how far the threshold lies above their median, "
            "in interquartile ranges) and, of those nearly as stable as the best, the time."
        )
    what = (
        f"what slips through where good test images and held-out ones set {percent(asked)}"
        if by == ESCAPES
        else f"AUROC, because {percent(asked)} takes more independent good images to see"
    )
    return (
        f"They are compared by {what}; of those that at most one defective image tells from the "
        "best, there and at their own thresholds, the fastest is taken (within a tenth, the better "
        "one). One that rejects more good parts than was to be expected is passed over."
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
        "test images is judged by the set-up that the search would have taken without it"
        f"{_of_others(own['chosen'], best)}."
    )


def _of_others(chosen: Mapping[str, int], best: str) -> str:
    """What else would have been taken and how often, the most frequent first; empty for nothing."""
    others = {name.split(" ")[0]: count for name, count in chosen.items()}
    others.pop(best, None)
    if not others:
        return ""
    often = sorted(others, key=lambda name: -others[name])
    told = [f"{name} {others[name]} of {sum(chosen.values())} times" for name in often]
    return f": not always this one, but {listed(told)}"


class Table(NamedTuple):
    """Some of the set-ups that were tried; `columns` of `entries`, as for `markdown.table_of`."""

    caption: str
    columns: markdown.Columns
    entries: list[Mapping[str, Any]]


def tables(found: Mapping[str, Any], asked: float) -> list[Table]:
    """What was tried: on all images, on fewer, what cannot be used."""
    points = found["finalists"]
    groups: dict[str, list[Mapping[str, Any]]] = {"all": [], "other": [], "some": [], "none": []}
    for row in found["tried"]:
        kind = "other" if row["part"] == len(found["parts"]) else "some"
        kind = "none" if row["problem"] else "all" if row["name"] in points else kind
        groups[kind].append(row)
    last: markdown.Columns = {
        "set-up": itemgetter("name"),
        **_merits(found["by"], asked),
    }
    if found["by"] != STABILITY:
        last |= {
            "escapes per 1,000 at its threshold": lambda row: per_thousand(
                points[row["name"]], "escape_rate"
            ),
            "false alarms per 1,000": lambda row: per_thousand(
                points[row["name"]], "false_alarm_rate"
            ),
        }
    time: markdown.Columns = {"ms": lambda row: amount(row["milliseconds"])}
    last |= time | {"": lambda row: _remarks(row["name"], found)}
    some: markdown.Columns = {"set-up": itemgetter("name"), "images": itemgetter("images")}
    some |= _merits(found["by_part"], asked) | time
    other: markdown.Columns = {"set-up": itemgetter("name"), **_merits(found["by"], asked), **time}
    none: markdown.Columns = {"set-up": itemgetter("name"), "why": itemgetter("problem")}
    captions = {
        "all": ("Tried on all images, the best first", last),
        "other": ("Dropped after fewer images, tried on all for what to expect", other),
        "some": ("Dropped after fewer images", some),
        "none": ("Cannot be used", none),
    }
    return [
        Table(caption, columns, groups[kind])
        for kind, (caption, columns) in captions.items()
        if groups[kind]
    ]


def _merits(by: str, asked: float) -> markdown.Columns:
    """What set-ups are ranked by."""
    auroc: markdown.Columns = {"AUROC": lambda row: number(row["auroc"])}
    if by == ESCAPES:
        slip = f"slip through at {percent(asked)}, of 1,000"
        return {slip: lambda row: thousand(1 - row["merit"]), **auroc}
    if by == STABILITY:
        return {"threshold above the median": lambda row: f"{-row['merit']:.3g}"}
    return auroc


def _remarks(name: str, found: Mapping[str, Any]) -> str:
    told = {"above": "rejects more than expected", "estimate": "its threshold is an estimate"}
    flags = found["finalists"][name]["flags"]
    taken = ["taken"] * (name == found["best"])
    return ", ".join([*taken, *(words for flag, words in told.items() if flag in flags)])


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
    own = {key: value for key, value in entry.items() if value}
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
