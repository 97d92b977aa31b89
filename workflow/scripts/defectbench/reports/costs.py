"""What detectors cost, in the benchmark and as files, and what jobs used of what they asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from defectbench.reports import decision_text as words
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
        From `choice.decide`.
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
        From `text.scope_line`.
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


USAGE_HEADER = (
    "rule",
    "jobs",
    "threads",
    "CPUs used",
    "MB asked",
    "MB used",
    "minutes asked",
    "minutes used",
)


def usage_table(jobs: Sequence[Mapping[str, Any]]) -> str:
    """Table by rule: what its most demanding job asked for, and what the largest one used.

    Parameters
    ----------
    jobs
        One extended benchmark record of Snakemake per job. Memory is sampled, so that of a job of
        less than a second may be missing, and is the resident set of all its processes.
    """
    rules: dict[str, list[Mapping[str, Any]]] = {}
    for job in jobs:
        rules.setdefault(job.get("rule_name", "unknown"), []).append(job)
    return tabulate(
        [_row(rule, rules[rule]) for rule in sorted(rules)],
        USAGE_HEADER,
        "github",
        disable_numparse=True,
    )


def _row(rule: str, jobs: Sequence[Mapping[str, Any]]) -> list[str]:
    asked = [job.get("resources", {}) for job in jobs]
    seconds = max(float(job["s"]) for job in jobs)
    busiest = max(jobs, key=lambda job: _number(job.get("cpu_time")))
    cpus = _number(busiest.get("cpu_time")) / max(float(busiest["s"]), 1e-9)
    return [
        rule,
        str(len(jobs)),
        str(max(int(job.get("threads", 0)) for job in jobs)),
        f"{cpus:.1f}",
        f"{max(_number(request.get('mem_mb')) for request in asked):.0f}",
        f"{max(_number(job.get('max_rss')) for job in jobs):.0f}",
        f"{max(_number(request.get('runtime')) for request in asked):.0f}",
        f"{seconds / 60:.2f}",
    ]


def _number(value: Any) -> float:
    """A recorded figure; 0 for one that is missing."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
