"""The report people read: its sections in order, between its header and what made it."""

from collections.abc import Callable, Mapping
from typing import Any

from defectbench.reports import markdown
from defectbench.reports.cautions import cautions, notes
from defectbench.reports.image_tables import differences, image_sections
from defectbench.reports.markdown import MISSING, distinct
from defectbench.reports.pixel_tables import pixel_sections
from defectbench.reports.results import Results
from defectbench.reports.scope import scope_line

INTERVALS = (
    "95 % intervals: of AUROC and AUPR, score intervals with the bootstrap's variance, good and "
    "defective images (or whole groups of them) resampled apart; a perfect ranking gets the lower "
    "bound that its number of images supports. Of rates, Clopper-Pearson. Of F1, balanced "
    "accuracy, averages and differences, put together from those. `reports/coverage.md` shows how "
    "often each holds the truth."
)


KINDS = {"train": "train", "test_good": "test, good", "test_defective": "test, defective"}

Description = Callable[[Mapping[str, Any]], str]
MADE_OF: Mapping[str, Description] = {
    "scorer": lambda made: made["scorer"],
    "parameters": lambda made: markdown.compact(made["parameters"]),
    "layers": lambda made: ", ".join(made["layers"]),
    "images": lambda made: markdown.compact(made.get("preprocessing", {})),
    "weights": lambda made: made.get("weights_sha256", MISSING)[:16],
    **{
        f"code of {stage}": lambda made, stage=stage: made.get(
            f"code_{stage}".replace(" ", "_"), MISSING
        )
        for stage in ("features", "scorer", "evaluation", "pixel metrics")
    },
}
"""What is told of a detector's making, and how it is read off its provenance."""


def report(results: Results, decision: str = "") -> str:
    """The report of one dataset: one table per metric, then what made it.

    Parameters
    ----------
    decision
        Which detector to take, in Markdown; it comes first.
    """
    sections = [
        _header(results),
        decision,
        cautions(results),
        notes(results),
        _images(results),
        *image_sections(results),
        *pixel_sections(results),
        differences(results),
        _provenance(results),
    ]
    return markdown.paragraphs(*sections) + "\n"


def _header(results: Results) -> str:
    name, images = results.dataset, results.images
    totals = [sum(counts[kind] for counts in images.values()) for kind in KINDS]
    train, good, defective = totals
    return markdown.paragraphs(
        f"# {name}: anomaly detection",
        scope_line(results.categories, results.all_categories),
        f"{train} defect-free images to train, {good} good and {defective} defective images to "
        f"test ({train}/{good}/{defective}). Defective is the positive class. "
        f"Seed {distinct(m['seed'] for m in results.metrics)}; "
        f"{_versions(results)}, on {distinct(map(_device, results.metrics))}.",
        _seeds(results),
        f"In brackets the 95 % interval, in bold the largest figure of each category. The page "
        f"with pictures and curves: [{name}.html]({name}.html). Defect types, confusion matrices, "
        f"worst-ranked images: [details]({name}_details.md). The same figures, tidy: "
        f"[CSV]({name}_table.csv).",
    )


def _seeds(results: Results) -> str:
    """What several seeds of a detector mean for its figures."""
    seeds = distinct(seed for entry in results.metrics for seed in entry.get("seeds", ()))
    if not seeds:
        return ""
    return (
        f"Detectors that draw random numbers ran with the seeds {seeds}: their figures are means "
        "± one standard deviation over them. Their thresholds and details are those of the first."
    )


def _images(results: Results) -> str:
    """How many images of each kind."""
    rows = [
        [category, *(results.images[category][kind] for kind in KINDS)]
        for category in results.categories
    ]
    return markdown.paragraphs("## Images", markdown.table(["", *KINDS.values()], rows))


def _provenance(results: Results) -> str:
    digests = {m["category"]: m["provenance"]["dataset_sha256"] for m in results.metrics}
    entries = {" ".join(each): _made(results.entries(each)[0]) for each in results.detectors}
    told = {
        what: texts
        for what, describe in MADE_OF.items()
        if set(texts := [describe(made) for made in entries.values()]) != {MISSING}
    }
    made = dict(zip(entries, zip(*told.values(), strict=True), strict=True))
    lines = [f"- Not compared with the publication: {why}." for why in results.incomparable]
    lines += [f"- Compared with the publication, but: {what}." for what in results.remarks]
    return markdown.paragraphs(
        "## What made this",
        INTERVALS,
        "\n".join(lines),
        "Digests are the first 16 hexadecimal digits of SHA-256.",
        markdown.grid(list(told), made),
        markdown.table(["category", "dataset"], digests.items()),
    )


def _made(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return entry.get("pixels", {}).get("provenance", {}) | entry["provenance"]


def _versions(results: Results) -> str:
    pairs = {pair for m in results.metrics for pair in m["provenance"]["versions"].items()}
    return ", ".join(f"{name} {version}" for name, version in sorted(pairs))


def _device(entry: Mapping[str, Any]) -> str:
    made = entry["provenance"]
    in_bf16 = made.get("precision") == "bf16"
    return made["device"] + (" in bf16" if in_bf16 else "")
