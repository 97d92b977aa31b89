"""Rule `detectors`: proof and cost of every exported detector of a dataset, in one table."""

from pathlib import Path
from typing import Any

from defectbench.errors import job_log
from defectbench.reports.markdown import MISSING, scope_line, table
from defectbench.storage import read_json, write_text

HEADER = (
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


def row(card: dict[str, Any]) -> list[str]:
    """One detector's line."""
    proof, map_deviation = card["proof"], card["proof"]["largest_map_deviation"]
    return [
        card["category"],
        f"{card['method']} {card['backbone']}",
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


with job_log(snakemake.log[0]):
    cards = [read_json(Path(file)) for file in snakemake.input.cards]
    covered = list(dict.fromkeys(card["category"] for card in cards))
    threads = sorted({card["threads"] for card in cards})
    write_text(
        snakemake.output.markdown,
        f"# {snakemake.wildcards.dataset}: detectors as files\n\n"
        f"{scope_line(covered, snakemake.params.categories)}\n\n"
        "Each scored all test images through onnxruntime before it was written: the largest "
        "deviation of a score from the benchmark's, as a share of what is allowed, of a map, as a "
        "share of the largest value, and verdicts that differ. Then, in a process of its own: "
        "time to load with all checks, from an image's file to its verdict one at a time, "
        f"throughput in batches, peak memory. On {cards[0]['machine']}, "
        f"{'/'.join(map(str, threads))} threads, onnxruntime {cards[0]['onnxruntime']}.\n\n"
        + table(HEADER, [row(card) for card in cards])
        + "\n",
    )
