"""The report people read: its sections in order, between its header and what made it."""

from collections.abc import Mapping
from typing import Any

from defectbench.reports import image_tables, markdown
from defectbench.reports.cautions import cautions, notes
from defectbench.reports.markdown import MISSING, distinct
from defectbench.reports.results import Results

INTERVALS = (
    "95 % intervals: of AUROC and AUPR, score intervals with the bootstrap's variance, good and "
    "defective images (or whole groups of them) resampled apart; a perfect ranking gets the lower "
    "bound that its number of images supports. Of rates, Clopper-Pearson. Of F1, balanced "
    "accuracy, averages and differences, put together from those. `reports/coverage.md` shows how "
    "often each holds the truth."
)


def report(results: Results) -> str:
    """The report of one dataset: one table per metric, then what made it."""
    sections = [
        _header(results),
        cautions(results),
        notes(results),
        image_tables.ranking(results, "image_auroc", "Image AUROC"),
        image_tables.ranking(results, "aupr", "Image AUPR"),
        image_tables.f1(results),
        image_tables.balanced_accuracy(results),
        image_tables.thresholds(results),
        image_tables.false_positive_rates(results),
        image_tables.recalls(results),
        image_tables.confusions(results),
        image_tables.differences(results),
        _provenance(results),
    ]
    return markdown.paragraphs(*sections) + "\n"


def _header(results: Results) -> str:
    kinds = {"train": "train", "test_good": "test, good", "test_defective": "test, defective"}
    images = results.images
    totals = {kind: sum(counts[kind] for counts in images.values()) for kind in kinds}
    rows = [
        [
            title,
            totals[kind],
            *(images[c][kind] if c in images else MISSING for c in results.categories),
        ]
        for kind, title in kinds.items()
    ]
    missing = [category for category in results.categories if category not in images]
    return markdown.paragraphs(
        f"# {results.dataset}: image-level anomaly detection",
        f"{len(images)} of {len(results.categories)} categories; {totals['train']} "
        f"defect-free images to train, {totals['test_good']} good and "
        f"{totals['test_defective']} defective images to test "
        f"({totals['train']}/{totals['test_good']}/{totals['test_defective']}). "
        f"Defective is the positive class. Seed {distinct(m['seed'] for m in results.metrics)}; "
        f"{_versions(results)}, on {distinct(map(_device, results.metrics))}.",
        f"{MISSING}: not in this run ({', '.join(missing)})." if missing else "",
        markdown.table(["", "total", *results.categories], rows),
    )


def _provenance(results: Results) -> str:
    digests = {m["category"]: m["provenance"]["dataset_sha256"] for m in results.metrics}
    methods = []
    for detector in results.detectors:
        made = results.entries(detector)[0]["provenance"]
        methods.append(
            [
                *detector,
                made["scorer"],
                markdown.compact(made["parameters"]),
                made.get("layer", MISSING),
                markdown.compact(made.get("preprocessing", {})),
                made.get("weights_sha256", MISSING)[:16],
                _code(made),
            ]
        )
    header = ["method", "backbone", "scorer", "parameters", "layer", "images", "weights", "code"]
    return markdown.paragraphs(
        "## What made this",
        INTERVALS,
        "\n".join(f"- Not compared with the publication: {why}." for why in results.incomparable),
        "Digests are the first 16 hexadecimal digits of SHA-256; code is images, features, scorer, "
        "evaluation.",
        markdown.table(header, methods),
        markdown.table(["category", "dataset"], digests.items()),
    )


def _versions(results: Results) -> str:
    pairs = {pair for m in results.metrics for pair in m["provenance"]["versions"].items()}
    return ", ".join(f"{name} {version}" for name, version in sorted(pairs))


def _code(made: Mapping[str, Any]) -> str:
    stages = ("images", "features", "scorer", "evaluation")
    return " ".join(made[f"code_{stage}"] for stage in stages if f"code_{stage}" in made)


def _device(entry: Mapping[str, Any]) -> str:
    made = entry["provenance"]
    in_bf16 = made.get("precision") == "bf16"
    return made["device"] + (" in bf16" if in_bf16 else "")
