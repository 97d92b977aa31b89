"""Markdown tables like the published ones, and their tidy CSV twin."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from tabulate import tabulate

MISSING = "–"
AVERAGE = "average"
METRICS = {
    "image_auroc": "Image AUROC",
    "aupr": "Image AUPR",
    "f1": "F1 at the oracle threshold",
    "balanced_accuracy": "Balanced accuracy at the oracle threshold",
}
CONFUSION = ("true_positives", "false_positives", "false_negatives", "true_negatives")


def tidy_results(metrics: Sequence[Mapping[str, Any]], published: pd.DataFrame) -> pd.DataFrame:
    """One row per category (and average), method, backbone and metric.

    Parameters
    ----------
    metrics
        Contents of the ``metrics.json`` files.
    published
        Published figures: columns method, backbone, category, metric, value.

    Returns
    -------
    DataFrame
        Columns category, method, backbone, metric, value, categories (how many the value
        averages over), published. Missing values are NaN.
    """
    rows = [
        (entry["category"], entry["method"], entry["backbone"], metric, entry["metrics"][metric], 1)
        for entry in metrics
        for metric in (*METRICS, *CONFUSION)
    ]
    columns = ["category", "method", "backbone", "metric", "value", "categories"]
    results = pd.DataFrame(rows, columns=columns).astype({"value": "float64"})
    averaged = results[results["metric"].isin(METRICS)].dropna(subset="value")
    averages = (
        averaged.groupby(["method", "backbone", "metric"], sort=False)
        .agg(value=("value", "mean"), categories=("value", "size"))
        .reset_index()
        .assign(category=AVERAGE)
    )
    keys = ["category", "method", "backbone", "metric"]
    figures = published.rename(columns={"value": "published"})[[*keys, "published"]]
    return pd.concat([averages[columns], results]).merge(figures, on=keys, how="left")


def markdown_report(
    dataset: str,
    categories: Sequence[str],
    metrics: Sequence[Mapping[str, Any]],
    results: pd.DataFrame,
) -> str:
    """The report people read: header, a table per metric, the confusion matrices.

    Parameters
    ----------
    dataset
        Its name.
    categories
        All categories the dataset has, in order; those without results are marked.
    metrics
        Contents of the ``metrics.json`` files, in the order of the rows.
    results
        From `tidy_results`.
    """
    detectors = list(dict.fromkeys((entry["method"], entry["backbone"]) for entry in metrics))
    sections = [_header(dataset, categories, metrics)]
    for metric, title in METRICS.items():
        table = _metric_table(results[results["metric"] == metric], detectors, categories)
        sections.append(f"## {title}\n\n{table}")
    sections.append(
        "## Confusion matrix at the oracle threshold\n\n"
        "True positives / false positives / false negatives / true negatives.\n\n"
        + _confusion_table(results, detectors, categories)
    )
    return "\n\n".join(sections) + "\n"


def _header(dataset: str, categories: Sequence[str], metrics: Sequence[Mapping[str, Any]]) -> str:
    images = {entry["category"]: entry["images"] for entry in metrics}
    kinds = {"train": "train", "test_good": "test, good", "test_defective": "test, defective"}
    totals = {kind: sum(counts[kind] for counts in images.values()) for kind in kinds}
    rows = [
        [title, totals[kind], *(images[c][kind] if c in images else MISSING for c in categories)]
        for kind, title in kinds.items()
    ]
    missing = [category for category in categories if category not in images]
    lines = [
        f"# {dataset}: image-level anomaly detection",
        "",
        f"{len(images)} of {len(categories)} categories; {totals['train']} defect-free images to "
        f"train, {totals['test_good']} good and {totals['test_defective']} defective images to "
        f"test ({totals['train']}/{totals['test_good']}/{totals['test_defective']}). "
        f"Defective is the positive class. Seed {_distinct(metrics, 'seed')}.",
        f"Made with {_versions(metrics)}, on {_distinct(metrics, 'device')}.",
        "",
        "The oracle threshold is the one with the largest F1 on the test images themselves: the "
        "published protocol, and an upper bound that no user can set in advance.",
    ]
    if missing:
        lines += ["", f"{MISSING}: not in this run ({', '.join(missing)})."]
    lines += ["", "## Images", "", _markdown(["", "total", *categories], rows)]
    return "\n".join(lines)


def _metric_table(
    results: pd.DataFrame, detectors: Sequence[tuple[str, str]], categories: Sequence[str]
) -> str:
    """One row per detector; beneath it the published figures and the differences, if any."""
    cells = results.set_index(["method", "backbone", "category"])
    columns = [AVERAGE, *categories]
    measured = sum(category in set(results["category"]) for category in categories)
    complete = measured == len(categories)
    rows = []
    for method, backbone in detectors:
        found = cells.loc[(method, backbone)].reindex(columns)
        values, published = found["value"], found["published"].copy()
        if not complete:
            published[AVERAGE] = float("nan")
        texts = [_number(value) for value in values]
        averaged = found["categories"][AVERAGE]
        if averaged == averaged and averaged != measured:
            texts[0] += f" (of {averaged:.0f})"
        rows.append([method, backbone, *texts])
        if published.notna().any():
            rows.append(["", "published", *(_number(value) for value in published)])
            rows.append(["", "difference", *(_number(value, "+") for value in values - published)])
    average = AVERAGE if complete else f"{AVERAGE} of {measured} of {len(categories)}"
    return _markdown(["method", "backbone", average, *categories], rows)


def _confusion_table(
    results: pd.DataFrame, detectors: Sequence[tuple[str, str]], categories: Sequence[str]
) -> str:
    keys = ["method", "backbone", "category", "metric"]
    counts = results[results["metric"].isin(CONFUSION)].set_index(keys)["value"]
    rows = [
        [
            *detector,
            *(
                " / ".join(f"{counts[*detector, category, kind]:.0f}" for kind in CONFUSION)
                if (*detector, category, CONFUSION[0]) in counts
                else MISSING
                for category in categories
            ),
        ]
        for detector in detectors
    ]
    return _markdown(["method", "backbone", *categories], rows)


def _number(value: float, sign: str = "") -> str:
    return MISSING if value != value else f"{value:{sign}.3f}"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


def _distinct(metrics: Sequence[Mapping[str, Any]], key: str) -> str:
    values = {str(entry.get(key, entry["provenance"].get(key))) for entry in metrics}
    return ", ".join(sorted(values))


def _versions(metrics: Sequence[Mapping[str, Any]]) -> str:
    found = {pair for entry in metrics for pair in entry["provenance"]["versions"].items()}
    return ", ".join(f"{name} {version}" for name, version in sorted(found))
