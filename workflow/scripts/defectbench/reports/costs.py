"""Tables of cost: of detectors in the benchmark, of exported ones, and of the jobs of a run."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from defectbench.evaluation.cells import CellResults, detector_name
from defectbench.reports import markdown
from defectbench.reports.markdown import MISSING, amount, scope_line, with_interval
from defectbench.reports.rendering import render

COST: markdown.Columns = {
    "detector": itemgetter("detector"),
    "AUROC": lambda entry: with_interval(entry["auroc"], entry["auroc_interval"]),
    "fit, CPU seconds": lambda entry: amount(entry["fit_cpu_seconds"]),
    "scoring, CPU ms per image": lambda entry: amount(entry["score_cpu_ms_per_image"]),
    "with extraction, ms per image": lambda entry: amount(entry["milliseconds"]),
    "peak memory, MB": lambda entry: amount(entry["peak_mb"]),
    "model, MB": lambda entry: amount(entry["model_bytes"] / 1e6),
}
MEASURED = ("fit_cpu_seconds", "score_cpu_ms_per_image", "peak_mb", "model_bytes")


def with_costs(decision: Mapping[str, Any], cells: Sequence[CellResults]) -> list[dict[str, Any]]:
    """The decision's detectors in their order, each with what it costs, best AUROC first.

    Parameters
    ----------
    decision
        From `decision.decide`.
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
        From `markdown.scope_line`.
    detectors
        From `with_costs`.
    """
    table = markdown.table_of(COST, detectors)
    return render("cost.md", dataset=dataset, scope=scope, table=table)


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
    "MB asked": lambda jobs: f"{_most(jobs, 'mem_mb'):.0f}",
    "MB used": lambda jobs: f"{_most(jobs, 'max_rss'):.0f}",
    "minutes asked": lambda jobs: f"{_most(jobs, 'runtime'):.0f}",
    "minutes used": lambda jobs: f"{_most(jobs, 's') / 60:.2f}",
}


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
        known = {"rule_name": "unknown", **job.get("resources", {}), **job}
        rules.setdefault(known["rule_name"], []).append(known)
    return markdown.table_of(USAGE, [rules[name] for name in sorted(rules)])


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
