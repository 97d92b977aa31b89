"""Bootstrap resamples of the test images."""

import zlib

import numpy as np

from defectbench.evaluation.image_metrics import image_auroc, last_of_ties

REPLICATES = 2000

REPLICATE_BLOCK = 1 << 22
"""Resampled images held at once, so that memory does not grow with the dataset."""


def bootstrap_replicates(
    labels: np.ndarray, scores: np.ndarray, seed: int, category: str
) -> dict[str, np.ndarray]:
    """Metrics of test sets resampled with replacement, each class by itself.

    The resampling depends on seed, category and class sizes alone: replicate i of two detectors
    is the same set of images, so differences of replicates are paired.

    Returns
    -------
    dict of str to ndarray
        ``image_auroc`` and ``aupr``: float64, (`REPLICATES`,); empty unless both classes occur.
    """
    if image_auroc(labels, scores) is None:
        return {}
    rng = np.random.default_rng([seed, zlib.crc32(category.encode())])
    order = np.argsort(-scores, kind="stable")
    ties = last_of_ties(scores[order])
    block = max(1, REPLICATE_BLOCK // len(labels))
    parts = [
        _replicate_block(labels, order, ties, min(block, REPLICATES - start), rng)
        for start in range(0, REPLICATES, block)
    ]
    auroc, aupr = (np.concatenate(part) for part in zip(*parts, strict=True))
    return {"image_auroc": auroc, "aupr": aupr}


def percentile_interval(replicates: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Central interval that holds a share `level` of the replicates (percentile bootstrap)."""
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _replicate_block(
    labels: np.ndarray, order: np.ndarray, ties: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """AUROC and average precision of `count` resamples, from how often each image came."""
    times = np.zeros((count, len(labels)), np.int32)
    for label in (0, 1):
        (members,) = np.nonzero(labels == label)
        times[:, members] = rng.multinomial(
            len(members), np.full(len(members), 1 / len(members)), count
        )
    times = times[:, order]
    defective = labels[order] == 1
    true_positives = np.cumsum(times * defective, axis=1)[:, ties]
    false_positives = np.cumsum(times * ~defective, axis=1)[:, ties]
    new_true = np.diff(true_positives, axis=1, prepend=0)
    new_false = np.diff(false_positives, axis=1, prepend=0)
    n_true, n_false = defective.sum(), (~defective).sum()
    # a good image is below all defective ones of higher score, and half below those of equal score
    wins = ((true_positives - new_true / 2) * new_false).sum(axis=1)
    predicted = np.maximum(true_positives + false_positives, 1)
    precision = (new_true * true_positives / predicted).sum(axis=1)
    return wins / (n_true * n_false), precision / n_true
