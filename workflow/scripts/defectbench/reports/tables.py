"""The report of a dataset: the decision, a table for each metric, and what made the figures."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from defectbench.evaluation.averages import AVERAGE
from defectbench.evaluation.cells import detector_name
from defectbench.reports.flags import (
    categories_by_text,
    cautions,
    legend,
    marks,
    promised_and_next,
    threshold_images,
)
from defectbench.reports.markdown import MISSING, bounds, grid, made_of, number, table, threshold
from defectbench.reports.published import agreement, identical_confusions, published_texts
from defectbench.reports.rendering import render
from defectbench.reports.results import Results

KINDS = {
    "train": "train",
    "calibration": "calibration",
    "test_good": "test, good",
    "test_defective": "test, defective",
}
PIXEL_METRICS = ("pixel_auroc", "pixel_aupr", "aupro_0.3", "aupro_0.05")
TOO_FEW = "too few to tell"
"""In place of the interval of a pixel metric that has none."""


def report(results: Results, decision: str = "") -> str:
    """The report of one dataset: one table per metric, then what made it.

    Parameters
    ----------
    decision
        Which detector to take, in Markdown; it comes first.
    """
    metrics = results.metrics
    specifications = [entry["specification"] for entry in metrics]
    resolutions = [entry["pixels"]["resolution"] for entry in results.with_maps]
    figures = results.tidy.query("metric in @PIXEL_METRICS")
    return render(
        "table.md",
        results=results,
        decision=decision,
        versions=[f"{n} {v}" for made in specifications for n, v in made["versions"].items()],
        devices=map(_device, specifications),
        seeds=[seed for entry in metrics for seed in entry.get("seeds", ())],
        legend=legend(metrics),
        cautions=cautions(metrics),
        image_counts=_image_counts(results),
        images=threshold_images(entry["promise"] for entry in metrics),
        figures=partial(figure_texts, results),
        identical_confusions=identical_confusions(results),
        thresholds=_thresholds(results),
        promises=_promises(results),
        rule=results.metrics[0]["promise"]["rule"],
        no_masks=figures["value"].isna().all() and _missing(results, PIXEL_METRICS),
        too_few=TOO_FEW if (figures["value"].notna() & figures["low"].isna()).any() else "",
        resolutions=["each image's own" if r == "original" else f"{r}×{r}" for r in resolutions],
        without_maps=[name for name in results.detectors if name not in results.localizing],
        differences=_differences(results),
        made=_made(results),
        digests={m["category"]: m["specification"]["dataset_sha256"] for m in metrics},
    )


def figure_texts(
    results: Results,
    metric: str,
    marked: Sequence[str] = (),
    best: bool = True,
    trivial: str = "",
) -> dict[str, str]:
    """What a section of the report shows of one metric.

    Parameters
    ----------
    metric
        As `Results.figures` names it; one of pixels is shown of the detectors that localize.
    marked
        Flags whose marks stand at the figures.
    best
        Whether the largest figure of each category is in bold.
    trivial
        Metric of the answer "everything is defective", to stand before the detectors.

    Returns
    -------
    dict of str to str
        ``table`` of the figures with intervals; ``missing``: why some are; ``published``: a table
        of those; ``agreement`` with them. Empty where there is none.
    """
    detectors = results.localizing if metric in PIXEL_METRICS else results.detectors
    found = {detector: results.figures(metric, detector) for detector in detectors}
    bold = _largest(found) if best else {}
    unbounded = TOO_FEW if metric in PIXEL_METRICS else ""
    columns, published = {}, {}
    if trivial:
        values = results.figures(trivial, results.detectors[0])["value"]
        columns["everything is defective"] = list(map(number, values))
    for detector, figures in found.items():
        flags = {entry["category"]: entry["flags"] for entry in results.entries(detector)}
        columns[_named(results, detector)] = [
            _text(figures.loc[name], len(results.images), (detector, name) in bold, unbounded)
            + f" {marks(flags.get(name, ()), marked)}".rstrip()
            for name in figures.index
        ]
        if figures["published"].notna().any():
            published[detector] = published_texts(figures)
    return {
        "table": _matrix(results, columns),
        "missing": _missing(results, [metric]),
        "published": _matrix(results, published) if published else "",
        "agreement": agreement(list(found.values())),
    }


def _matrix(results: Results, columns: Mapping[str, Sequence[str]]) -> str:
    """Texts by category and detector; of each column the first is for the average."""
    return grid([results.average_title, *results.categories], columns)


def _text(figure: pd.Series, categories: int, bold: bool, unbounded: str) -> str:
    """A figure, its deviation over seeds, its interval, and what it averages if not all.

    Where a figure has no interval, `unbounded` takes its place.
    """
    value = MISSING if _is_missing(figure) else number(figure["value"])
    remarks = []
    if figure.name == AVERAGE and value != MISSING and figure["categories"] != categories:
        remarks.append(f"of {figure['categories']:.0f}")
    if pd.notna(figure["low"]):
        remarks.append(bounds((figure["low"], figure["high"])))
    elif unbounded and value != MISSING:
        remarks.append(unbounded)
    text = f"**{value}**" if bold else value
    if value != MISSING and pd.notna(figure["deviation"]):
        text += f" ± {number(figure['deviation'])}"
    return f"{text} ({'; '.join(remarks)})" if remarks else text


def _is_missing(figure: pd.Series) -> bool:
    return pd.isna(figure["value"]) or pd.notna(figure["reason"])


def _largest(found: Mapping[str, pd.DataFrame]) -> set[tuple[str, str]]:
    """Which figures are, as printed, the largest of several that differ, category by category."""
    largest = set()
    for name in next(iter(found.values())).index:
        rows = {detector: figures.loc[name] for detector, figures in found.items()}
        values = {d: round(row["value"], 3) for d, row in rows.items() if not _is_missing(row)}
        # averages over different categories are of different images, so none is the best
        averaged_alike = len({rows[detector]["categories"] for detector in values}) == 1
        if averaged_alike and len(set(values.values())) > 1:
            top = max(values.values())
            largest |= {(detector, name) for detector in values if values[detector] == top}
    return largest


def _named(results: Results, detector: str) -> str:
    """A detector's name with the marks of all categories."""
    raised = {flag for entry in results.entries(detector) for flag in entry["flags"]}
    return f"{detector} {marks(raised)}".strip()


def _missing(results: Results, metrics: Sequence[str]) -> str:
    """Why figures of these metrics are a dash: one line, or none."""
    found = results.tidy[results.tidy["metric"].isin(metrics)].dropna(subset="reason")
    pairs = zip(found["reason"], found["category"], strict=True)
    reasons = [f"{', '.join(where)}: {text}" for text, where in categories_by_text(pairs).items()]
    return f"{MISSING}: {'; '.join(reasons)}." if reasons else ""


def _image_counts(results: Results) -> str:
    """Number of images of each category; no column of calibration images where there are none."""
    kinds = dict(KINDS)
    if not any(images["calibration"] for images in results.images.values()):
        del kinds["calibration"]
    rows = [[name, *map(results.images[name].get, kinds)] for name in results.categories]
    return table(["", *kinds.values()], rows)


def _thresholds(results: Results) -> str:
    """The honest threshold of each detector in the unit of its scores."""
    cells = {(detector_name(each), each["category"]): each for each in results.metrics}
    columns = {
        _named(results, detector): [
            threshold(each["thresholds"]["honest"], each.get("threshold_range"))
            if (each := cells.get((detector, name)))
            else MISSING
            for name in results.categories
        ]
        for detector in results.detectors
    }
    return grid(results.categories, columns)


def _promises(results: Results) -> str:
    """What each detector's honest threshold lets expect; of several seeds, that of the first."""
    cells = {(detector_name(each), each["category"]): each["promise"] for each in results.metrics}
    columns = {
        _named(results, detector): [
            promised_and_next(cells[detector, name]) if (detector, name) in cells else MISSING
            for name in results.categories
        ]
        for detector in results.detectors
    }
    return grid(results.categories, columns)


def _differences(results: Results) -> str:
    """Every two detectors against each other; empty for one detector."""
    columns = {}
    for (first, second), group in results.differences.groupby(["first", "second"], sort=False):
        found = group.set_index("category").reindex([AVERAGE, *results.categories])
        rows = zip(found["value"], found["low"], found["high"], strict=True)
        columns[f"{first} − {second}"] = [_difference(*row) for row in rows]
    return _matrix(results, columns) if columns else ""


def _difference(value: float, low: float, high: float) -> str:
    if low != low:
        return MISSING
    text = f"{value:+.3f}"
    return f"{f'**{text}**' if low > 0 or high < 0 else text} ({low:+.3f} to {high:+.3f})"


def _made(results: Results) -> str:
    """What made each detector's figures, down to digests; no row for what none of them has."""
    columns = {}
    for detector in results.detectors:
        entry = results.entries(detector)[0]
        made = entry["specification"]
        of_maps = entry["pixels"]["specification"]["code"] if "pixels" in entry else {}
        columns[detector] = made_of(made | {"code": of_maps | made["code"]})
    told = [
        what
        for what in columns[results.detectors[0]]
        if any(texts[what] != MISSING for texts in columns.values())
    ]
    return grid(told, {name: [texts[what] for what in told] for name, texts in columns.items()})


def _device(made: Mapping[str, Any]) -> str:
    stored = ", stored in fp16" if made["storage"] == "fp16" else ""
    return made["device"] + (" in bf16" if made["precision"] == "bf16" else "") + stored
