"""Tables of cost: of detectors in the benchmark, of exported ones, and of the jobs of a run."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from defectbench.errors import PEAK
from defectbench.evaluation.cells import CellResults, detector_name
from defectbench.reports import markdown
from defectbench.reports.markdown import MISSING, amount, scope_line, with_interval
from defectbench.reports.rendering import render
from defectbench.reports.speed_text import Speed

COST: markdown.Columns = {
    "detector": itemgetter("detector"),
    "AUROC": lambda entry: with_interval(entry["auroc"], entry["auroc_interval"]),
    "fit, CPU seconds": lambda entry: amount(entry["fit_cpu_seconds"]),
    "scoring, CPU ms per image": lambda entry: amount(entry["score_cpu_ms_per_image"]),
    "from file to verdict, ms per image": lambda entry: amount(entry["milliseconds"]),
    "peak memory, MB": lambda entry: amount(entry["peak_mb"]),
    "model, MB": lambda entry: amount(entry["model_bytes"] / 1e6),
}
MEASURED = ("fit_cpu_seconds", "score_cpu_ms_per_image", "peak_mb", "model_bytes")


def with_costs(
    decision: Mapping[str, Any], cells: Sequence[CellResults], speed: Speed
) -> list[dict[str, Any]]:
    """The decision's detectors in their order, each with what it costs, best AUROC first.

    Parameters
    ----------
    decision
        From `decision.decide`.
    cells
        Those that it was made of.
    speed
        How long each takes.

    Returns
    -------
    list of dict
        To each entry are added the means over its categories of ``milliseconds`` per image from
        file to verdict and of the `MEASURED`; None where one was not measured.
    """
    found = []
    for entry in decision["detectors"]:
        own = [cell for cell in cells if cell.detector == entry["detector"]]
        costs = {name: _mean([cell.cost[name] for cell in own]) for name in MEASURED}
        costs["milliseconds"] = speed.mean([cell.category for cell in own], entry["detector"])
        found.append(entry | costs)
    return found


def cost_markdown(
    dataset: str, scope: str, detectors: Sequence[Mapping[str, Any]], speed: Speed
) -> str:
    """Each detector's mean AUROC beside its time, memory and size.

    Parameters
    ----------
    scope
        From `markdown.scope_line`.
    detectors, speed
        From `with_costs`, and what it was given.
    """
    table = markdown.table_of(COST, detectors)
    return render("cost.md", dataset=dataset, scope=scope, table=table, speed=speed.sentence)


def _mean(values: Sequence[float | None]) -> float | None:
    return None if None in values else sum(values) / len(values)


EXPORTED: markdown.Columns = {
    "category": itemgetter("category"),
    "detector": detector_name,
    "images": lambda card: card["proof"]["images"],
    "score, % of tolerance": lambda card: (
        f"{100 * card['proof']['largest_share_of_tolerance']:.2g}"
    ),
    "map": lambda card: _deviation(card["proof"]["largest_map_deviation"]),
    "flips": lambda card: card["proof"]["verdict_flips"],
    "file, MB": lambda card: f"{card['file_mb']:.1f}",
    "load, s": lambda card: f"{card['load_seconds']:.2f}",
    "ms per image": lambda card: f"{card['milliseconds_median']:.1f}",
    "95th percentile": lambda card: f"{card['milliseconds_95th_percentile']:.1f}",
    "images per s": lambda card: f"{card['images_per_second']:.0f}",
    "memory, MB": lambda card: card["peak_memory_mb"] or MISSING,
}


def _deviation(value: float | None) -> str:
    return MISSING if value is None else f"{value:.0e}"


def detectors_markdown(
    dataset: str, categories: Sequence[str], cards: Sequence[Mapping[str, Any]]
) -> str:
    """Proof and cost of every exported detector of a dataset, in one table.

    Parameters
    ----------
    dataset, categories
        Its name and all its categories.
    cards
        What rule `detector` measured of each.
    """
    return render(
        "detectors.md",
        dataset=dataset,
        scope=scope_line(list(dict.fromkeys(card["category"] for card in cards)), categories),
        first=cards[0],
        threads=sorted({card["threads"] for card in cards}),
        table=markdown.table_of(EXPORTED, cards),
    )


USAGE: markdown.Columns = {
    "rule": lambda jobs: jobs[0]["rule_name"],
    "jobs": len,
    "threads": lambda jobs: f"{_most(jobs, 'threads'):.0f}",
    "CPUs used": lambda jobs: f"{_cpus(jobs):.1f}",
    "MB asked": lambda jobs: _from_to(_number(job.get("mem_mb")) for job in jobs),
    "MB used": lambda jobs: _from_to(map(used_mb, jobs)),
    "% used, at most": lambda jobs: f"{100 * max(map(used_share, jobs)):.0f}",
    "minutes asked": lambda jobs: f"{_most(jobs, 'runtime'):.0f}",
    "minutes used": lambda jobs: f"{_most(jobs, 's') / 60:.2f}",
}


def finished_jobs(benchmarks: Path, logs: Path) -> list[dict[str, Any]]:
    """What Snakemake recorded of finished jobs, and their peak memory from their logs.

    Parameters
    ----------
    benchmarks, logs
        Folders that hold the same names, ``.jsonl`` and ``.log``.

    Returns
    -------
    list of dict
        The last extended benchmark record of each job, with what it asked for among the others,
        and ``peak_mb`` where its log says so.
    """
    found = []
    for file in sorted(benchmarks.rglob("*.jsonl")):
        job = json.loads(file.read_text(encoding="utf-8").splitlines()[-1])
        job = {"rule_name": "unknown", **job.get("resources", {}), **job}
        log = (logs / file.relative_to(benchmarks)).with_suffix(".log")
        text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
        if peak := re.search(rf"^{PEAK} (\d+) MB$", text, re.MULTILINE):
            job["peak_mb"] = int(peak[1])
        found.append(job)
    return found


def used_mb(job: Mapping[str, Any]) -> float:
    """Largest resident memory of a job, in MB.

    From its log; Snakemake samples that of all its processes, now and then, in MiB.
    """
    return _number(job.get("peak_mb")) or _number(job.get("max_rss")) * 2**20 / 1e6


def used_share(job: Mapping[str, Any]) -> float:
    """Share that a job used of the memory that it asked for."""
    return used_mb(job) / max(_number(job.get("mem_mb")), 1e-9)


def usage_table(jobs: Sequence[Mapping[str, Any]]) -> str:
    """Table by rule: what its jobs asked for, and what they used.

    Memory is from the job that asked for or used least to the one that did most, and the largest
    share is a single job's; of all else the most is shown.

    Parameters
    ----------
    jobs
        From `finished_jobs`.
    """
    rules: dict[str, list[Mapping[str, Any]]] = {}
    for job in jobs:
        rules.setdefault(job["rule_name"], []).append(job)
    return markdown.table_of(USAGE, [rules[name] for name in sorted(rules)])


def _from_to(figures: Iterable[float]) -> str:
    """Smallest and largest figure, or the only one."""
    ordered = [f"{figure:.0f}" for figure in sorted(figures)]
    return "–".join(dict.fromkeys((ordered[0], ordered[-1])))


def _most(jobs: Sequence[Mapping[str, Any]], figure: str) -> float:
    return max(_number(job.get(figure)) for job in jobs)


def _cpus(jobs: Sequence[Mapping[str, Any]]) -> float:
    """Processors that the job with the most processor time kept busy."""
    busiest = max(jobs, key=lambda job: _number(job.get("cpu_time")))
    return _number(busiest.get("cpu_time")) / max(float(busiest["s"]), 1e-9)


def _number(value: Any) -> float:
    """A recorded figure; 0 for one that is missing."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
