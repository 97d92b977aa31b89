"""``reports/{dataset}.json``: all that a report says, as data and in words.

Its schema is ``workflow/schemas/report.schema.yaml``.
"""

from collections.abc import Mapping
from typing import Any

from defectbench.reports.decision_text import (
    consequence,
    headline,
    help_of,
    reason,
    standing,
    use,
)
from defectbench.reports.flags import warnings

FORMAT = 1
"""Version of the schema; goes up when a key changes its meaning or leaves."""


def dataset_json(dataset: str, decision: Mapping[str, Any]) -> dict[str, Any]:
    """A decision with its words.

    Parameters
    ----------
    dataset
        Its name.
    decision
        From `decision.decide`.
    """
    words = {
        "headline": headline(decision),
        "standing": standing(decision),
        "reason": reason(decision),
        "consequence": consequence(decision),
        "warnings": warnings(decision),
    }
    categories = [
        {**entry, "words": {"use": use(decision, entry), "advice": help_of(decision, entry)}}
        for entry in decision["categories"]
    ]
    told = {"format": FORMAT, "dataset": dataset, "words": words}
    return {**told, **decision, "categories": categories}
