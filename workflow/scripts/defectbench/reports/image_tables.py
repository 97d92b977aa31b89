"""Sections of the report on image-level metrics."""

from defectbench.reports import markdown
from defectbench.reports.figure_tables import figure_section, matrix
from defectbench.reports.flags import f1_mark, named, rate_mark
from defectbench.reports.markdown import MISSING, number
from defectbench.reports.published import identical_confusions
from defectbench.reports.results import AVERAGE, Results

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


def image_sections(results: Results) -> list[str]:
    """All sections on image-level metrics, in order."""
    asked = f"{results.false_positive_rate:.1%}"
    trivial = results.figures("trivial_f1", results.detectors[0])["value"]
    return [
        figure_section(results, "Image AUROC", "image_auroc"),
        figure_section(results, "Image AUPR", "aupr"),
        figure_section(
            results,
            "F1 at the honest threshold",
            "honest_f1",
            [HONEST.format(rate=results.false_positive_rate)],
            beside={"everything is defective": [number(value) for value in trivial]},
            mark=f1_mark,
        ),
        figure_section(
            results,
            "F1 at the oracle threshold",
            "oracle_f1",
            [ORACLE, identical_confusions(results)],
        ),
        figure_section(
            results, "Balanced accuracy at the honest threshold", "honest_balanced_accuracy"
        ),
        figure_section(
            results,
            "Balanced accuracy at the oracle threshold",
            "oracle_balanced_accuracy",
            [
                "The oracle threshold is the one of the largest F1: an honest threshold can well "
                "have the larger balanced accuracy."
            ],
        ),
        thresholds(results),
        figure_section(
            results,
            "False-positive rate",
            "honest_false_positive_rate",
            [
                f"Asked for: {asked}. This is the share of the good test images that the honest "
                "threshold really calls defective; marked where it is incompatible with the rate "
                "asked for (exact binomial test, two-sided, 5 %)."
            ],
            mark=rate_mark,
            best=False,
        ),
        figure_section(
            results,
            "Defects found",
            "honest_recall",
            [
                "Share of the defective test images that the honest threshold calls defective "
                "(recall)."
            ],
        ),
    ]


def thresholds(results: Results) -> str:
    """The honest threshold in the score's own unit."""
    columns = {}
    for detector in results.detectors:
        values = results.figures("honest_threshold", detector)["value"].loc[results.categories]
        texts = [MISSING if value != value else f"{value:.6g}" for value in values]
        columns[named(results, detector)] = texts
    note = (
        "The honest one, in the unit of each detector's own anomaly score: an image from this "
        "score on is called defective. All digits stand in metrics.json beside the scores."
    )
    return markdown.paragraphs("## Thresholds", note, matrix(results, columns, average=False))


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
