"""What a better AUROC costs, as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from defectbench.reports import decision_words as words
from defectbench.reports import markdown

HEADER = (
    "detector",
    "AUROC",
    "fit, CPU seconds",
    "scoring, CPU ms per image",
    "with extraction, ms per image",
    "peak memory, MB",
    "model, MB",
)


def cost_markdown(dataset: str, decision: Mapping[str, Any]) -> str:
    """Each detector's mean AUROC beside its time, memory and size, best AUROC first.

    Times differ from run to run: the table stands in a file of its own, beside those that do not.
    """
    rows = [
        [
            entry["detector"],
            _with_interval(entry["auroc"], entry["auroc_interval"]),
            words.amount(entry["fit_cpu_seconds"]),
            words.amount(entry["score_cpu_ms"]),
            words.amount(entry["milliseconds"]),
            words.amount(entry["peak_mb"]),
            words.amount(entry["model_bytes"] and entry["model_bytes"] / 1e6),
        ]
        for entry in decision["detectors"]
    ]
    note = f"Means over the categories, AUROC with 95 % interval. {words.COST_MEANS}"
    return markdown.paragraphs(f"# {dataset}: cost", note, markdown.table(HEADER, rows)) + "\n"


def _with_interval(value: float | None, interval: Sequence[float | None]) -> str:
    within = words.bounds(*interval)
    return f"{words.number(value)} ({within})" if within else words.number(value)
