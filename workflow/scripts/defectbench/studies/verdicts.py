"""What a detector with a threshold says of test images."""

from typing import NamedTuple

import numpy as np

from defectbench.evaluation.promises import Promise


class Judged(NamedTuple):
    """Test images of one category that judge a detector.

    Attributes
    ----------
    labels, groups
        (n_images,): 1 for defective; str, '' for a group of its own.
    category
        Its name, on which the draws of the bootstrap depend.
    """

    labels: np.ndarray
    groups: np.ndarray
    category: str


class Verdict(NamedTuple):
    """What a detector with a threshold says of test images.

    Attributes
    ----------
    images
        The test images.
    scores
        float64, (n_images,).
    called
        (n_images,): whether each is called defective; a share where several thresholds say.
    threshold
        The threshold, or the mean of several.
    promised
        What the threshold promises; None where it was not set on a draw.
    """

    images: Judged
    scores: np.ndarray
    called: np.ndarray
    threshold: float
    promised: Promise | None = None
