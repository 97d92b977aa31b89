"""Parts of a category's images: set-ups are tried on few images first."""

from collections.abc import Sequence

import numpy as np

from defectbench.images.index import IndexRow

SHARES = (1 / 9, 1 / 3)
FEWEST = 20
"""Images of each kind that a part has at least: training images, good and defective test images."""

NEARLY_ALL = 0.8
"""A part of more than this share of the next one would tell nothing sooner."""


def nested_parts(index: Sequence[IndexRow], seed: int) -> list[list[int]]:
    """Rows of the index in each part, ascending; each part holds the one before, the last all.

    Parameters
    ----------
    index
        Of the category.
    seed
        Of the order in which images of a kind come in.
    """
    rng = np.random.default_rng(seed)
    kinds: dict[tuple[str, int], list[int]] = {}
    for row, image in enumerate(index):
        kinds.setdefault((image.split, image.label), []).append(row)
    drawn = {kind: rng.permutation(rows) for kind, rows in sorted(kinds.items())}
    parts = [list(range(len(index)))]
    for share in reversed(SHARES):
        rows = [
            int(row)
            for order in drawn.values()
            for row in order[: max(FEWEST, round(share * len(order)))]
        ]
        if len(rows) <= NEARLY_ALL * len(parts[0]):
            parts.insert(0, sorted(rows))
    return parts
