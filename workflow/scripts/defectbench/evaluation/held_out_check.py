"""Warns, without labels, when good images that set a threshold are no new ones to each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from defectbench.evaluation.bootstrap import group_numbers
from defectbench.evaluation.look_alikes import look_alikes
from defectbench.scorers.layers import Features

TRAINING, CALIBRATION = "training images", "calibration images"

ONE_GROUP = (
    "all {images} are of one group: no other image is new, and the honest threshold is too low for "
    "other parts; photograph more parts, or mend `groups`"
)
LOOK_ALIKES = (
    "{images} lie in clusters that are far more alike than the others "
    "(held_out_check.json names them); where they show one part each, the honest threshold is too "
    "low for new parts: set `groups` of the dataset"
)


def check_held_out(
    X: Features, groups: Sequence[str], paths: Sequence[str], images: str = TRAINING
) -> dict[str, Any]:
    """What is to be known about the scores that set a detector's threshold.

    Parameters
    ----------
    X
        Features of the images that set it; the last layer is looked at.
    groups
        Each image's group; '' is a group of its own. Of a group, only the first image can look
        like another one.
    paths
        Of the images.
    images
        What they are: `TRAINING`, each held out, or `CALIBRATION`.

    Returns
    -------
    dict
        ``groups``: their number, None where no image has one. ``look_alikes``: paths of each
        cluster, from `look_alikes.look_alikes`. ``warnings``: sentences, with the key to set.
    """
    numbers = group_numbers(np.asarray(groups, str))
    firsts = np.sort(np.unique(numbers, return_index=True)[1])
    found = {"groups": len(firsts) if any(groups) else None, "look_alikes": [], "warnings": []}
    if found["groups"] == 1:
        return found | {"warnings": [ONE_GROUP.format(images=images)]}
    layer = X[-1] if isinstance(X, list) else X
    if layer.ndim == 3:  # of tiles, which are together as small as vectors of images
        layer = layer[:].reshape(len(layer), -1)
    clusters = look_alikes(layer.take(firsts, axis=0))
    named = [[paths[firsts[row]] for row in rows] for rows in clusters]
    return found | {
        "look_alikes": named,
        "warnings": [LOOK_ALIKES.format(images=images)] if named else [],
    }
