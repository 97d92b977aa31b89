"""What detectors cost, in the benchmark and as files, and what jobs used of what they asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

from defectbench.evaluation.cells import CellResults, detector_name
from defectbench.reports import markdown
from defectbench.reports.decision_text import COST_MEANS
from defectbench.reports.markdown import MISSING, amount, scope_line, with_interval

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
    rows = [
        [
            entry["detector"],
            with_interval(entry["auroc"], entry["auroc_interval"]),
            amount(entry["fit_cpu_seconds"]),
            amount(entry["score_cpu_ms_per_image"]),
            amount(entry["milliseconds"]),
            amount(entry["peak_mb"]),
            amount(entry["model_bytes"] / 1e6),
        ]
        for entry in detectors
    ]
    note = f"Means over the categories, AUROC with 95 % interval. {COST_MEANS}"
    table = markdown.table(HEADER, rows)
    return markdown.paragraphs(f"# {dataset}: cost", scope, note, table) + "\n"


def _mean(values: Sequence[float | None]) -> float | None:
    return None if None in values else sum(values) / len(values)


DETECTOR_HEADER = (
    "category",
    "detector",
    "images",
    "score, % of tolerance",
    "map",
    "flips",
    "file, MB",
    "load, s",
    "ms per image",
    "95th percentile",
    "images per s",
    "memory, MB",
)


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
    covered = list(dict.fromkeys(card["category"] for card in cards))
    threads = "/".join(map(str, sorted({card["threads"] for card in cards})))
    note = (
        "Each scored all test images through onnxruntime before it was written: the largest "
        "deviation of a score from the benchmark's, as a share of what is allowed, of a map, as a "
        "share of the largest value, and verdicts that differ. Then, in a process of its own: "
        "time to load with all checks, from an image's file to its verdict one at a time, "
        f"throughput in batches, peak memory. On {cards[0]['machine']}, {threads} threads, "
        f"onnxruntime {cards[0]['onnxruntime']}."
    )
    title, scope = f"# {dataset}: detectors as files", scope_line(covered, categories)
    table = markdown.table(DETECTOR_HEADER, map(_detector_row, cards))
    return markdown.paragraphs(title, scope, note, table) + "\n"


def _detector_row(card: Mapping[str, Any]) -> list[str]:
    proof, map_deviation = card["proof"], card["proof"]["largest_map_deviation"]
    return [
        card["category"],
        detector_name(card),
        str(proof["images"]),
        f"{100 * proof['largest_share_of_tolerance']:.2g}",
        MISSING if map_deviation is None else f"{map_deviation:.0e}",
        str(proof["verdict_flips"]),
        f"{card['file_mb']:.1f}",
        f"{card['load_seconds']:.2f}",
        f"{card['milliseconds_median']:.1f}",
        f"{card['milliseconds_95th_percentile']:.1f}",
        f"{card['images_per_second']:.0f}",
        str(card["peak_memory_mb"] or MISSING),
    ]


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
    return markdown.table(USAGE_HEADER, [_usage_row(rule, rules[rule]) for rule in sorted(rules)])


def _usage_row(rule: str, jobs: Sequence[Mapping[str, Any]]) -> list[str]:
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
