"""Measured figures beside published ones."""

import pandas as pd

from defectbench.reports.markdown import counts, number
from defectbench.reports.results import Results

AGREEMENT = 0.005


def published_rows(found: pd.DataFrame) -> list[list[str]]:
    """Published figure and difference, under a row of measured ones; none if none is published."""
    compared = found["published"].where(found["value"].notna())
    if compared.isna().all():
        return []
    difference = found["value"] - compared
    return [
        ["", "", "published", *map(number, compared)],
        ["", "", "difference", *(number(value, "+") for value in difference)],
    ]


def agreement(results: Results, metric: str) -> str:
    """How many cells are within `AGREEMENT` of the published figure."""
    found = pd.concat([results.figures(metric, detector)[1:] for detector in results.detectors])
    compared = found.dropna(subset=["value", "published"])
    if compared.empty:
        return ""
    near = (compared["value"] - compared["published"]).abs() <= AGREEMENT
    return f"{near.sum()} of {len(compared)} cells agree with the published figure to ±{AGREEMENT}."


def published_confusions(
    figures: list[pd.DataFrame], measured: pd.DataFrame
) -> tuple[list[list[str]], int, int]:
    """Row of published matrices, how many of them were measured too, how many are identical.

    Parameters
    ----------
    figures
        Of true and of false positives at the oracle threshold.
    measured
        The four counts, one row per category.
    """
    published = [figure["published"] for figure in figures]
    if not published[0].notna().any():
        return [], 0, 0
    of_class = [measured.iloc[:, i] + measured.iloc[:, j] for i, j in ((0, 2), (1, 3))]
    rest = [total - hits for total, hits in zip(of_class, published, strict=True)]
    theirs = pd.concat([*published, *rest], axis=1)[1:]
    both = theirs.notna().all(axis=1) & measured.notna().all(axis=1)
    same = (theirs[both].to_numpy() == measured[both].to_numpy()).all(axis=1)
    row = ["", "", "published (oracle)", *theirs.apply(counts, axis=1)]
    return [row], int(both.sum()), int(same.sum())
