"""The table of a dataset: one section per metric, between a header and what made the figures."""

from collections.abc import Mapping
from typing import Any

from defectbench.evaluation.averages import AVERAGE
from defectbench.reports import markdown
from defectbench.reports.figure_tables import (
    Section,
    cautions_section,
    figure_section,
    matrix,
    missing_figures,
    named,
    notes,
)
from defectbench.reports.markdown import MISSING, distinct, made_of, scope_line, score
from defectbench.reports.published import identical_confusions
from defectbench.reports.results import Results

INTERVALS = (
    "95 % intervals: of AUROC and AUPR, score intervals with the bootstrap's variance, good and "
    "defective images (or whole groups of them) resampled apart; a perfect ranking gets the lower "
    "bound that its number of images supports. Of rates, Clopper-Pearson. Of F1, balanced "
    "accuracy, averages and differences, put together from those. `reports/coverage.md` shows how "
    "often each holds the truth."
)


KINDS = {"train": "train", "test_good": "test, good", "test_defective": "test, defective"}


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
        cautions_section(results),
        notes(results),
        _images(results),
        *image_sections(results),
        *pixel_sections(results),
        differences(results),
        _made(results),
    ]
    return markdown.paragraphs(*sections) + "\n"


def _header(results: Results) -> str:
    name, images = results.dataset, results.images
    train, good, defective = (sum(each[kind] for each in images.values()) for kind in KINDS)
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


def _made(results: Results) -> str:
    """What made each detector's figures, down to digests of images, weights and code."""
    digests = {m["category"]: m["specification"]["dataset_sha256"] for m in results.metrics}
    made = {each: made_of(_specification(results.entries(each)[0])) for each in results.detectors}
    told = [
        what
        for what in next(iter(made.values()))
        if any(texts[what] != MISSING for texts in made.values())
    ]
    lines = [f"- Not compared with the publication: {why}." for why in results.incomparable]
    lines += [f"- Compared with the publication, but: {what}." for what in results.remarks]
    return markdown.paragraphs(
        "## What made this",
        INTERVALS,
        "\n".join(lines),
        "Digests are the first 16 hexadecimal digits of SHA-256.",
        markdown.grid(told, {each: [texts[what] for what in told] for each, texts in made.items()}),
        markdown.table(["category", "dataset"], digests.items()),
    )


def _specification(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a cell, with the code that measured its maps, if it has any."""
    made = entry["specification"]
    of_maps = entry["pixels"]["specification"]["code"] if "pixels" in entry else {}
    return made | {"code": of_maps | made["code"]}


def _versions(results: Results) -> str:
    pairs = {pair for m in results.metrics for pair in m["specification"]["versions"].items()}
    return ", ".join(f"{name} {version}" for name, version in sorted(pairs))


def _device(entry: Mapping[str, Any]) -> str:
    made = entry["specification"]
    return made["device"] + (" in bf16" if made["precision"] == "bf16" else "")


IMAGE_SECTIONS = (
    Section("image_auroc", "Image AUROC"),
    Section("aupr", "Image AUPR"),
    Section(
        "honest_f1",
        "F1 at the honest threshold",
        "*Honest threshold*: set from defect-free training images alone, so that at most {asked} "
        "of them, each scored by a model that did not see it, are called defective. This is what "
        "a user gets. Its intervals hold for this threshold: how it would vary with other training "
        "images is not in them.",
        marked=("useless",),
        trivial="trivial_f1",
    ),
    Section(
        "oracle_f1",
        "F1 at the oracle threshold",
        "*Oracle threshold*: the one with the largest F1 on the test images themselves, the "
        "published protocol. No threshold reaches a larger F1, and nobody can set it in advance. "
        "It has no interval: it is chosen on the very images that it is judged on.",
    ),
    Section("honest_balanced_accuracy", "Balanced accuracy at the honest threshold"),
    Section(
        "oracle_balanced_accuracy",
        "Balanced accuracy at the oracle threshold",
        "The oracle threshold is the one of the largest F1: an honest threshold can well have the "
        "larger balanced accuracy.",
    ),
    Section(
        "honest_false_positive_rate",
        "False-positive rate",
        "Asked for: {asked}. This is the share of the good test images that the honest threshold "
        "really calls defective; marked where it is incompatible with the rate asked for (exact "
        "binomial test, two-sided, 5 %).",
        marked=("above", "below"),
        best=False,
    ),
    Section(
        "honest_recall",
        "Defects found",
        "Share of the defective test images that the honest threshold calls defective (recall).",
    ),
)
PIXEL_SECTIONS = (
    Section("pixel_auroc", "Pixel AUROC"),
    Section("pixel_aupr", "Pixel average precision"),
    Section(
        "aupro_0.3",
        "AUPRO to 0.3",
        "Area under the mean overlap with the defective regions, up to this false-positive rate "
        "of the pixels and divided by it.",
    ),
    Section("aupro_0.05", "AUPRO to 0.05", "The same where false alarms are few."),
)


def image_sections(results: Results) -> list[str]:
    """All sections on image-level metrics; the thresholds stand before the rates they lead to."""
    sections = []
    for section in IMAGE_SECTIONS:
        if section.metric == "honest_false_positive_rate":
            sections.append(thresholds(results))
        more = identical_confusions(results) if section.metric == "oracle_f1" else ""
        sections.append(figure_section(results, section, more))
    return sections


def thresholds(results: Results) -> str:
    """The honest threshold in the score's own unit."""
    columns = {}
    for detector in results.detectors:
        values = results.figures("honest_threshold", detector)["value"].loc[results.categories]
        columns[named(results, detector)] = list(map(score, values))
    note = (
        "The honest one, in the unit of each detector's own anomaly score: an image from this "
        "score on is called defective. All digits stand in metrics.json beside the scores."
    )
    return markdown.paragraphs("## Thresholds", note, markdown.grid(results.categories, columns))


def differences(results: Results) -> str:
    """Every two detectors against each other."""
    columns = {}
    for (first, second), group in results.differences.groupby(["first", "second"], sort=False):
        found = group.set_index("category").reindex([AVERAGE, *results.categories])
        columns[f"{first} − {second}"] = [
            _difference(value, low, high)
            for value, low, high in zip(found["value"], found["low"], found["high"], strict=True)
        ]
    if not columns:
        return ""
    note = (
        "First minus second, with the 95 % interval of the difference on the same images; in bold "
        "where it excludes 0. Elsewhere there is no clear difference: the data allow either sign."
    )
    return markdown.paragraphs("## Differences in image AUROC", note, matrix(results, columns))


def _difference(value: float, low: float, high: float) -> str:
    if low != low:
        return MISSING
    text = f"{value:+.3f}"
    return f"{f'**{text}**' if low > 0 or high < 0 else text} ({low:+.3f} to {high:+.3f})"


def pixel_sections(results: Results) -> list[str]:
    """All sections on pixel-level metrics, in order; one sentence where there are no masks."""
    if not results.localizing:
        return []
    metrics = [section.metric for section in PIXEL_SECTIONS]
    if results.tidy.query("metric in @metrics")["value"].isna().all():
        reasons = missing_figures(results, *metrics)
        return [markdown.paragraphs("## Pixel metrics", reasons)]
    first, *others = PIXEL_SECTIONS
    return [
        figure_section(results, first, _notes(results), detectors=results.localizing),
        *(figure_section(results, each, detectors=results.localizing) for each in others),
    ]


def _notes(results: Results) -> str:
    """At which resolution, with which intervals, and which detectors have no maps."""
    at = distinct(
        "each image's own" if resolution == "original" else f"{resolution}×{resolution}"
        for resolution in (entry["pixels"]["resolution"] for entry in results.with_maps)
    )
    lacking = [each for each in results.detectors if each not in results.localizing]
    without = f" Without maps: {', '.join(lacking)}." if lacking else ""
    return (
        f"Of the pixels of all test images, resolution: {at}. A defective image without a mask is "
        f"left out. The intervals resample images, not pixels.{without}"
    )
