"""What jobs asked for and what they used, from the benchmarks that Snakemake records."""

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

HEADER = (
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
        HEADER,
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
