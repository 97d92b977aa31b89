"""Licences of weights and images, as far as they are known."""

from defectbench.provenance import FACTS
from defectbench.storage import read_csv

UNKNOWN_LICENCE = "not known here: ask where they come from"


def licence_notes(weights_sha256: str, source: str, dataset: str) -> dict[str, str]:
    """Licences of weights and data, as far as they are known.

    Parameters
    ----------
    weights_sha256
        Of the weights: a file of the user's own may bear the name of any backbone.
    source, dataset
        The ``source`` of the dataset's images, which may be known, and its name, which is the
        user's to choose.
    """
    found: dict[str, str] = {}
    for row in read_csv(FACTS / "weights.csv"):
        if weights_sha256.startswith(row["sha256_prefix"]):
            found.setdefault("weights", row["licence"])
    for row in read_csv(FACTS / "licences.csv"):
        if {"source": source, "dataset": dataset}.get(row["of"]) == row["name"]:
            found.setdefault("data", row["licence"])
    unknown = dict.fromkeys(("weights", "data"), UNKNOWN_LICENCE)
    return {**unknown, **found, "probe_image": "one of the data"}
