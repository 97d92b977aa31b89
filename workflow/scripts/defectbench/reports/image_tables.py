"""Sections of the report on image-level metrics: one table each, detectors down."""

import pandas as pd

from defectbench.reports import markdown
from defectbench.reports.markdown import MISSING, number
from defectbench.reports.published import agreement, published_confusions, published_rows
from defectbench.reports.results import AVERAGE, COUNTS, Results

ORACLE = (
    "*Oracle threshold*: the one with the largest F1 on the test images themselves. It is the "
    "published protocol and an upper bound: nobody can set it in advance."
)
HONEST = (
    "*Honest threshold*: set from defect-free training images alone, so that at most {rate:.1%} of "
    "them, each scored by a model that did not see it, are called defective. This is what a user "
    "gets."
)


def ranking(results: Results, metric: str, title: str) -> str:
    """A metric of the ranking, with its interval."""
    rows = []
    for detector in results.detectors:
        found = results.figures(metric, detector)
        low, high = (found[name].map(number) for name in ("low", "high"))
        intervals = [
            MISSING if a == MISSING else f"{a}–{b}" for a, b in zip(low, high, strict=True)
        ]
        rows.append([*detector, "measured", *averaged(results, found)])
        rows.append(["", "", "95 % interval", *intervals])
        rows += published_rows(found)
    return section(results, title, rows, agreement(results, metric))


def f1(results: Results) -> str:
    """F1 at both thresholds, and without any detector."""
    found = results.figures("trivial_f1", results.detectors[0])
    trivial = ["everything is defective", "", "no detector", *averaged(results, found)]
    notes = (HONEST.format(rate=results.false_positive_rate), ORACLE)
    return section(
        results,
        "F1",
        [trivial, *_at_thresholds(results, "f1")],
        markdown.paragraphs(*notes, agreement(results, "oracle_f1")),
    )


def balanced_accuracy(results: Results) -> str:
    """Balanced accuracy at both thresholds."""
    return section(
        results,
        "Balanced accuracy",
        _at_thresholds(results, "balanced_accuracy"),
        agreement(results, "oracle_balanced_accuracy"),
    )


def false_positive_rates(results: Results) -> str:
    """The rate obtained, against the one asked for."""
    rows = []
    for detector in results.detectors:
        found = results.figures("honest_false_positive_rate", detector)
        rows.append([*detector, "honest threshold", *averaged(results, found)])
    note = (
        f"Asked for: {results.false_positive_rate:.1%}. This is the share of the "
        "good test images that the honest threshold really calls defective."
    )
    return section(results, "False-positive rate", rows, note)


def confusions(results: Results) -> str:
    """Confusion matrices at both thresholds, and the published ones."""
    rows = []
    same = compared = 0
    for detector in results.detectors:
        for threshold in ("honest", "oracle"):
            figures = [results.figures(f"{threshold}_{count}", detector) for count in COUNTS]
            counts = pd.concat([figure["value"] for figure in figures], axis=1)[1:]
            name = detector if threshold == "honest" else ("", "")
            texts = counts.apply(markdown.counts, axis=1)
            rows.append([*name, f"{threshold} threshold", *texts])
        theirs, both, identical = published_confusions(figures[:2], counts)  # at the oracle
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
        "First minus second, with the 95 % interval of the difference on the same resampled "
        "images. An interval that holds 0 shows no difference."
    )
    return markdown.paragraphs("## Differences in image AUROC", note, markdown.table(header, rows))


def section(results: Results, title: str, rows: list[list[str]], note: str) -> str:
    """A heading, a note, and a table with the average first."""
    header = ["method", "backbone", "figure", results.average_title, *results.categories]
    return markdown.paragraphs(f"## {title}", note, markdown.table(header, rows))


def averaged(results: Results, found: pd.DataFrame) -> list[str]:
    """Figures as text; an average over fewer categories than the run has says so."""
    texts = [number(value) for value in found["value"]]
    over = found["categories"][AVERAGE]
    if over == over and over != len(results.images):
        texts[0] += f" (of {over:.0f})"
    return texts


def _at_thresholds(results: Results, figure: str) -> list[list[str]]:
    rows = []
    for detector in results.detectors:
        oracle = results.figures(f"oracle_{figure}", detector)
        honest = results.figures(f"honest_{figure}", detector)
        rows.append([*detector, "honest threshold", *averaged(results, honest)])
        rows.append(["", "", "oracle threshold", *averaged(results, oracle)])
        rows += published_rows(oracle)
    return rows
