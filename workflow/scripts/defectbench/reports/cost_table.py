"""What a better AUROC costs."""

from collections.abc import Mapping, Sequence
from typing import Any

from defectbench.reports import decision_words as words
from defectbench.reports import markdown
from defectbench.reports.cells import CellResults

HEADER = (
    "detector",
    "AUROC",
    "fit, CPU seconds",
    "scoring, CPU ms per image",
    "with extraction, ms per image",
    "peak memory, MB",
    "model, MB",
)
MEASURED = ("fit_cpu_seconds", "score_cpu_ms_per_image", "peak_mb", "model_bytes")


def with_costs(decision: Mapping[str, Any], cells: Sequence[CellResults]) -> list[dict[str, Any]]:
    """The decision's detectors in their order, each with what it costs, best AUROC first.

    Parameters
    ----------
    decision
        From `decisions.decide`.
    cells
        Those that it was made of.

    Returns
    -------
    list of dict
        To each entry are added the means over its categories of ``milliseconds`` per image with
        extraction and of the `MEASURED`; None where one was not measured.
    """
    found = []
    for entry in decision["detectors"]:
        own = [cell for cell in cells if cell.detector == entry["detector"]]
        costs = {name: _mean([cell.cost[name] for cell in own]) for name in MEASURED}
        costs["milliseconds"] = _mean([cell.milliseconds for cell in own])
        found.append(entry | costs)
    return found


def cost_markdown(dataset: str, scope: str, detectors: Sequence[Mapping[str, Any]]) -> str:
    """Each detector's mean AUROC beside its time, memory and size.

    Parameters
    ----------
    scope
        From `scope.scope_line`.
    detectors
        From `with_costs`.
    """
    rows = [
        [
            entry["detector"],
            _with_interval(entry["auroc"], entry["auroc_interval"]),
            words.amount(entry["fit_cpu_seconds"]),
            words.amount(entry["score_cpu_ms_per_image"]),
            words.amount(entry["milliseconds"]),
            words.amount(entry["peak_mb"]),
            words.amount(entry["model_bytes"] / 1e6),
        ]
        for entry in detectors
    ]
    note = f"Means over the categories, AUROC with 95 % interval. {words.COST_MEANS}"
    table = markdown.table(HEADER, rows)
    return markdown.paragraphs(f"# {dataset}: cost", scope, note, table) + "\n"


def _mean(values: Sequence[float | None]) -> float | None:
    return None if None in values else sum(values) / len(values)


def _with_interval(value: float | None, interval: Sequence[float | None]) -> str:
    within = words.bounds(*interval)
    return f"{words.number(value)} ({within})" if within else words.number(value)
