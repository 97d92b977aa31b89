"""Sections of the report on image-level metrics: one table each, detectors down."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from defectbench.reports import markdown
from defectbench.reports.cautions import missing_figures
from defectbench.reports.flags import f1_mark, named, rate_mark
from defectbench.reports.markdown import MISSING, number
from defectbench.reports.published import agreement, published_confusions, published_rows
from defectbench.reports.results import AVERAGE, COUNTS, Detector, Results

Mark = Callable[[Mapping[str, Any]], str]

ORACLE = (
    "*Oracle threshold*: the one with the largest F1 on the test images themselves, the published "
    "protocol. No threshold reaches a larger F1, and nobody can set it in advance. It has no "
    "interval: it is chosen on the very images that it is judged on."
)
HONEST = (
    "*Honest threshold*: set from defect-free training images alone, so that at most {rate:.1%} of "
    "them, each scored by a model that did not see it, are called defective. This is what a user "
    "gets. Its intervals hold for this threshold: how it would vary with other training images is "
    "not in them."
)


def ranking(results: Results, metric: str, title: str) -> str:
    """A metric of the ranking, with its interval."""
    rows = []
    for detector in results.detectors:
        found = results.figures(metric, detector)
        rows.append([*named(results, detector), "measured", *averaged(results, found)])
        rows.append(interval_row(found))
        rows += published_rows(found)
    return section(results, title, rows, [agreement(results, metric)], [metric])


def f1(results: Results) -> str:
    """F1 at both thresholds, and without any detector."""
    found = results.figures("trivial_f1", results.detectors[0])
    trivial = ["everything is defective", "", "no detector", *averaged(results, found)]
    notes = [HONEST.format(rate=results.false_positive_rate), ORACLE]
    rows = [trivial, *_at_thresholds(results, "f1", f1_mark)]
    return section(
        results, "F1", rows, [*notes, agreement(results, "oracle_f1")], ["honest_f1", "oracle_f1"]
    )


def balanced_accuracy(results: Results) -> str:
    """Balanced accuracy at both thresholds."""
    note = (
        "The oracle threshold is the one of the largest F1: an honest threshold can well have the "
        "larger balanced accuracy."
    )
    return section(
        results,
        "Balanced accuracy",
        _at_thresholds(results, "balanced_accuracy"),
        [note, agreement(results, "oracle_balanced_accuracy")],
        ["honest_balanced_accuracy", "oracle_balanced_accuracy"],
    )


def thresholds(results: Results) -> str:
    """The honest threshold in the score's own unit, and what it rests on."""
    rows = []
    for detector in results.detectors:
        values, images = (
            results.figures(metric, detector)["value"].loc[results.categories]
            for metric in ("honest_threshold", "held_out_images")
        )
        texts = [MISSING if value != value else f"{value:.6g}" for value in values]
        rows.append([*named(results, detector), "honest threshold", *texts])
        counts = [MISSING if count != count else f"{count:.0f}" for count in images]
        rows.append(["", "", "held-out images", *counts])
    note = (
        "In the unit of each detector's own anomaly score: an image from this score on is called "
        "defective. Held-out images: the defect-free ones it is set from. The CSV has all digits."
    )
    header = ["method", "backbone", "figure", *results.categories]
    return markdown.paragraphs("## Thresholds", note, markdown.table(header, rows))


def false_positive_rates(results: Results) -> str:
    """The rate obtained, against the one asked for."""
    note = (
        f"Asked for: {results.false_positive_rate:.1%}. This is the share of the good test images "
        "that the honest threshold really calls defective; marked where it is incompatible with "
        "the rate asked for (exact binomial test, two-sided, 5 %)."
    )
    rows = _at_honest(results, "false_positive_rate", rate_mark)
    return section(results, "False-positive rate", rows, [note], ["honest_false_positive_rate"])


def recalls(results: Results) -> str:
    """The share of the defects that is found."""
    note = "Share of the defective test images that the honest threshold calls defective (recall)."
    return section(
        results, "Defects found", _at_honest(results, "recall"), [note], ["honest_recall"]
    )


def confusions(results: Results) -> str:
    """Confusion matrices at both thresholds, and the published ones."""
    rows = []
    same = compared = 0
    for detector in results.detectors:
        for threshold in ("honest", "oracle"):
            figures = [results.figures(f"{threshold}_{count}", detector) for count in COUNTS]
            counts = pd.concat([figure["value"] for figure in figures], axis=1)[1:]
            name = named(results, detector) if threshold == "honest" else ("", "")
            texts = counts.apply(markdown.counts, axis=1)
            rows.append([*name, f"{threshold} threshold", *texts])
        theirs, both, identical = published_confusions(figures)  # at the oracle threshold
        rows += theirs
        compared += both
        same += identical
    note = "True positives / false positives / false negatives / true negatives."
    if compared:
        note += f" {same} of {compared} oracle matrices are identical to the published ones."
    header = ["method", "backbone", "figure", *results.categories]
    return markdown.paragraphs("## Confusion matrix", note, markdown.table(header, rows))


def differences(results: Results) -> str:
    """Every two detectors against each other."""
    rows = []
    for (first, second), group in results.differences.groupby(["first", "second"], sort=False):
        found = group.set_index("category").reindex([AVERAGE, *results.categories])
        texts = [
            MISSING if low != low else f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
            for value, low, high in zip(found["value"], found["low"], found["high"], strict=True)
        ]
        rows.append([first, second, *texts])
    if not rows:
        return ""
    header = ["first", "second", results.average_title, *results.categories]
    note = (
        "First minus second, with the 95 % interval of the difference on the same images. Where "
        "the interval holds 0 there is no clear difference: the data allow either sign."
    )
    return markdown.paragraphs("## Differences in image AUROC", note, markdown.table(header, rows))


def section(
    results: Results, title: str, rows: list[list[str]], notes: list[str], metrics: list[str]
) -> str:
    """A heading, notes, a table with the average first, and why figures of it are missing."""
    header = ["method", "backbone", "figure", results.average_title, *results.categories]
    table = markdown.table(header, rows)
    return markdown.paragraphs(f"## {title}", *notes, table, missing_figures(results, *metrics))


def averaged(results: Results, found: pd.DataFrame) -> list[str]:
    """Figures as text; an average over fewer categories than the run has says so."""
    texts = [number(value) for value in found["value"].where(found["reason"].isna())]
    over = found["categories"][AVERAGE]
    if over == over and over != len(results.images):
        texts[0] += f" (of {over:.0f})"
    return texts


def interval_row(found: pd.DataFrame) -> list[str]:
    """Intervals, under a row of figures; they stand where the figure itself says too little."""
    low, high = (found[name].map(number) for name in ("low", "high"))
    texts = [MISSING if a == MISSING else f"{a}–{b}" for a, b in zip(low, high, strict=True)]
    return ["", "", "95 % interval", *texts]


def _at_honest(results: Results, figure: str, mark: Mark | None = None) -> list[list[str]]:
    """A row of figures at the honest threshold and one of intervals, per detector."""
    rows = []
    for detector in results.detectors:
        found = results.figures(f"honest_{figure}", detector)
        texts = averaged(results, found)
        if mark:
            texts = _marked(results, detector, texts, mark)
        rows.append([*named(results, detector), "honest threshold", *texts])
        rows.append(interval_row(found))
    return rows


def _at_thresholds(results: Results, figure: str, mark: Mark | None = None) -> list[list[str]]:
    """Both thresholds' rows, and what is published at the oracle's, per detector."""
    rows = []
    honest = _at_honest(results, figure, mark)
    for place, detector in enumerate(results.detectors):
        oracle = results.figures(f"oracle_{figure}", detector)
        rows += honest[2 * place : 2 * place + 2]
        rows.append(["", "", "oracle threshold", *averaged(results, oracle)])
        rows += published_rows(oracle)
    return rows


def _marked(results: Results, detector: Detector, texts: list[str], mark: Mark) -> list[str]:
    """Texts of the average and the categories, marked where the category's figure calls for it."""
    marks = {entry["category"]: mark(entry) for entry in results.entries(detector)}
    found = ["", *(marks.get(category, "") for category in results.categories)]
    return [f"{text} {sign}".strip() for text, sign in zip(texts, found, strict=True)]
