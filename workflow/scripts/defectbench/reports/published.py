"""Measured figures beside published ones, where both were made in the same way."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from defectbench.evaluation.averages import AVERAGE
from defectbench.evaluation.cells import detector_name
from defectbench.reports.markdown import MISSING, number
from defectbench.reports.results import Metrics, Results
from defectbench.storage import read_json

AGREEMENT = 0.005
COLUMNS = ["method", "backbone", "category", "metric", "value"]


class Publication(NamedTuple):
    """What is known of a dataset's published figures.

    Attributes
    ----------
    figures
        Columns `COLUMNS`, one figure per row.
    settings
        By method: scorer, parameters, layers, preprocessing, precision and storage of the
        publication, of pixel metrics their resolution; and perhaps a remark for those who compare.
    images
        Official number of images, by category: train_good, test_good, test_defective.
    weights
        Start of the SHA-256 of the published weights, by backbone.
    """

    figures: pd.DataFrame
    settings: Mapping[str, Mapping[str, Any]]
    images: Mapping[str, Mapping[str, int]]
    weights: Mapping[str, str]


NOTHING_PUBLISHED = Publication(
    pd.DataFrame(columns=COLUMNS).astype({"value": "float64"}), {}, {}, {}
)


def read_publication(files: Sequence[str]) -> Publication:
    """Publication from ``{dataset}_published.csv``, ``…_settings.json``, counts and weights.

    No files make one without figures.
    """
    if not files:
        return NOTHING_PUBLISHED
    figures, settings, images, weights = files
    counts = pd.read_csv(images).set_index("category")
    prefixes = pd.read_csv(weights, dtype=str).set_index("backbone")["sha256_prefix"]
    return Publication(
        pd.read_csv(figures), read_json(settings), counts.to_dict("index"), prefixes.to_dict()
    )


def comparable(publication: Publication, metrics: Metrics) -> tuple[pd.DataFrame, list[str]]:
    """Published figures that a measured one may be compared with, and why others may not.

    A figure is comparable where scorer, parameters, layers, preprocessing, precision, storage,
    weights and number of images are those of the publication; an average, where all its categories
    are. True and false positives are filled up to whole confusion matrices with the official
    counts.

    Parameters
    ----------
    publication
        What is published.
    metrics
        Contents of the ``metrics.json`` files.

    Returns
    -------
    DataFrame, list of str
        Columns `COLUMNS`; one sentence per detector or category that is left out.
    """
    figures = _whole_matrices(publication)
    detectors = figures["method"] + " " + figures["backbone"]
    accepted: dict[str, set[str]] = {}
    refused = []
    for entry in metrics:
        detector = detector_name(entry)
        if detector in set(detectors):
            reasons = _other_settings(entry, publication) + _other_images(entry, publication)
            refused += reasons
            if not reasons:
                accepted.setdefault(detector, set()).add(entry["category"])
    for categories in accepted.values():
        if categories >= set(publication.images):
            categories.add(AVERAGE)
    pairs = [(detector, category) for detector in accepted for category in accepted[detector]]
    kept = pd.MultiIndex.from_arrays([detectors, figures["category"]]).isin(pairs)
    return figures[kept], list(dict.fromkeys(refused))


def _other_settings(entry: Mapping[str, Any], publication: Publication) -> list[str]:
    """How an entry was made otherwise than the publication's."""
    name = detector_name(entry)
    theirs = publication.settings.get(entry["method"])
    if theirs is None:
        return [f"{name}: the settings of the publication are not known"]
    made = entry["specification"]
    ours = made | {"resolution": entry.get("pixels", {}).get("resolution")}
    reasons = [
        f"{name}: {key} is {ours.get(key)}, published with {value}"
        for key, value in theirs.items()
        if key != "remark" and ours.get(key) != value
    ]
    prefix = publication.weights.get(entry["backbone"])
    if prefix is None:
        reasons.append(f"{name}: the published weights of this backbone are not known here")
    elif not made["weights_sha256"].startswith(prefix):
        reasons.append(f"{name}: the weights are not the published ones ({prefix}…)")
    return reasons


def _other_images(entry: Mapping[str, Any], publication: Publication) -> list[str]:
    """How a category's images differ in number from the official ones."""
    official = publication.images.get(entry["category"])
    if official is None:
        return [f"{entry['category']}: no category of the publication"]
    ours = entry["images"]
    numbers = (ours["train"], ours["test_good"], ours["test_defective"])
    theirs = (official["train_good"], official["test_good"], official["test_defective"])
    if numbers == theirs:
        return []
    text, theirs_text = ("/".join(map(str, each)) for each in (numbers, theirs))
    return [f"{entry['category']}: {text} images, officially {theirs_text}"]


def _whole_matrices(publication: Publication) -> pd.DataFrame:
    """The figures, and false negatives and true negatives from the official counts."""
    figures = publication.figures[COLUMNS]
    added = []
    for hits, rest, of in (
        ("oracle_true_positives", "oracle_false_negatives", "test_defective"),
        ("oracle_false_positives", "oracle_true_negatives", "test_good"),
    ):
        found = figures[(figures["metric"] == hits) & figures["category"].isin(publication.images)]
        totals = found["category"].map(lambda category, of=of: publication.images[category][of])
        added.append(found.assign(metric=rest, value=totals - found["value"]))
    return pd.concat([figures, *(rows for rows in added if len(rows))], ignore_index=True)


def published_texts(found: pd.DataFrame) -> list[str]:
    """Published figures that were measured too, each with measured minus published."""
    compared = found["published"].where(found["value"].notna())
    difference = found["value"] - compared
    return [
        MISSING if theirs != theirs else f"{number(theirs)} ({number(value, '+')})"
        for theirs, value in zip(compared, difference, strict=True)
    ]


def agreement(found: Sequence[pd.DataFrame]) -> str:
    """How many cells of all detectors are within `AGREEMENT` of the published figure."""
    cells = pd.concat([figures[1:] for figures in found])
    compared = cells.dropna(subset=["value", "published"])
    if compared.empty:
        return ""
    near = (compared["value"] - compared["published"]).abs() <= AGREEMENT
    return f"{near.sum()} of {len(compared)} cells agree with the published figure to ±{AGREEMENT}."


def identical_confusions(results: Results) -> str:
    """How many confusion matrices at the oracle threshold are those that are published."""
    ours, theirs = (
        pd.concat([results.confusions("oracle", d, column) for d in results.detectors])
        for column in ("value", "published")
    )
    both = (ours.notna() & theirs.notna()).all(axis=1)
    if not both.any():
        return ""
    same = (theirs[both].to_numpy() == ours[both].to_numpy()).all(axis=1)
    return f"{same.sum()} of {len(same)} oracle matrices are identical to the published ones."


def remarks(publication: Publication, figures: pd.DataFrame) -> list[str]:
    """What a reader must know of the published figures that are compared."""
    compared = set(figures["method"])
    found = ((method, entry.get("remark")) for method, entry in publication.settings.items())
    return [f"{method}: {text}" for method, text in found if text and method in compared]
