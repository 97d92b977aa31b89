"""Sections of the report on pixel-level metrics: where the defects are."""

from defectbench.reports import markdown
from defectbench.reports.cautions import missing_figures
from defectbench.reports.figure_tables import figure_section
from defectbench.reports.markdown import distinct
from defectbench.reports.results import Results

SECTIONS = {
    "pixel_auroc": ("Pixel AUROC", ""),
    "pixel_aupr": ("Pixel average precision", ""),
    "aupro_0.3": (
        "AUPRO to 0.3",
        "Area under the mean overlap with the defective regions, up to this false-positive rate "
        "of the pixels and divided by it.",
    ),
    "aupro_0.05": ("AUPRO to 0.05", "The same where false alarms are few."),
}


def pixel_sections(results: Results) -> list[str]:
    """All sections on pixel-level metrics, in order; one sentence where there are no masks."""
    if not results.localizing:
        return []
    if results.tidy.query("metric in @SECTIONS")["value"].isna().all():
        reasons = missing_figures(results, *SECTIONS)
        return [markdown.paragraphs("## Pixel metrics", reasons)]
    notes = _notes(results)
    sections = []
    for metric, (title, meaning) in SECTIONS.items():
        sections.append(
            figure_section(results, title, metric, [meaning, notes], detectors=results.localizing)
        )
        notes = ""  # said once
    return sections


def _notes(results: Results) -> str:
    """At which resolution, with which intervals, and which detectors have no maps."""
    at = distinct(
        "each image's own" if resolution == "original" else f"{resolution}×{resolution}"
        for resolution in (entry["pixels"]["resolution"] for entry in results.with_maps)
    )
    lacking = [" ".join(each) for each in results.detectors if each not in results.localizing]
    without = f" Without maps: {', '.join(lacking)}." if lacking else ""
    return (
        f"Of the pixels of all test images, resolution: {at}. A defective image without a mask is "
        f"left out. The intervals resample images, not pixels.{without}"
    )
