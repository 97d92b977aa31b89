"""New images of days without a change, which are to name no difference.

Every simulated day has a detector of its own: scores that were held out, a threshold by the
product's rule, images.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from scipy.special import betaincinv
from simulated import USED, Row

from defectbench.deployment import drift
from defectbench.deployment.drift import ALARMS, same_world
from defectbench.deployment.expectations import expectation
from defectbench.deployment.photographs import ImageStatistics, photographed
from defectbench.evaluation.promises import CALIBRATION, FOLDS, MANY, TOLERANCE, Asked, promise
from defectbench.evaluation.two_samples import kolmogorov_smirnov

TRAINED = (20, 59, 100, 300)
DAYS = (50, 200, 1000)
MODULES = 13
ALIKE = 0.5
"""Share of the variance of scores and light that images of a module have in common."""

MEANS = np.array([137.3, 3.44])
SPREAD = np.array([0.0097, 0.0373])
TOGETHER = 0.63
"""Means, relative standard deviations and correlation of brightness and sharpness over the 209
good training images of MVTec AD's bottle at 300 by 300 pixels, as `image_statistics` gives them."""


class Images(NamedTuple):
    """Scores, figures and groups of images."""

    scores: np.ndarray
    statistics: list[ImageStatistics]
    groups: np.ndarray


class World(NamedTuple):
    """Where images come from.

    Attributes
    ----------
    shape
        From standard normal values to scores.
    sizes
        Smallest and largest width.
    modules
        Whether a detector's images come from 13 modules, and those of a day from as large ones.
    asked
        What the threshold is to keep.
    folds
        Into how many parts the training images of a fitted detector are divided; 0 for scores that
        are drawn.
    spread
        Of brightness and sharpness, in times of the bottles'.
    """

    shape: Callable[[np.ndarray], np.ndarray] = np.asarray
    sizes: tuple[int, int] = (300, 300)
    modules: bool = False
    asked: Asked = Asked(0.05)
    folds: int = 0
    spread: float = 1

    def images(self, rng: np.random.Generator, total: int, sizes: Sequence[int] = ()) -> Images:
        """Images in modules of these sizes; each its own for none."""
        groups = np.repeat(np.arange(len(sizes)), sizes)[:total] if len(sizes) else np.arange(total)
        alike = ALIKE if self.modules else 0
        shared = rng.normal(size=(3, groups.max() + 1))[:, groups]
        latent = alike**0.5 * shared + (1 - alike) ** 0.5 * rng.normal(size=(3, total))
        latent[2] = TOGETHER * latent[1] + (1 - TOGETHER**2) ** 0.5 * latent[2]
        light = MEANS[:, None] * (1 + self.spread * SPREAD[:, None] * latent[1:])
        widths = rng.integers(self.sizes[0], self.sizes[1], total, endpoint=True)
        figures = zip(*light.tolist(), widths.tolist(), [300] * total, strict=True)
        names = groups.astype(str) if self.modules else np.full(total, "")
        return Images(self.shape(latent[0]), [ImageStatistics(*each) for each in figures], names)


def module_sizes(rng: np.random.Generator, total: int) -> np.ndarray:
    """Of 13 modules, the largest about four times the smallest."""
    shares = rng.uniform(0.4, 1.6, MODULES)
    sizes = np.maximum(np.round(total * shares / shares.sum()).astype(int), 1)
    sizes[np.argmax(sizes)] += total - sizes.sum()
    return sizes


class Detector:
    """What a detector knows of the images that its threshold comes from."""

    def __init__(self, world: World, rng: np.random.Generator, total: int) -> None:
        self.world, self.rng = world, rng
        self.sizes = module_sizes(rng, total) if world.modules else np.ones(0, int)
        images = world.images(rng, total, self.sizes)
        if world.folds:
            self.features = features(rng, total)
            images = images._replace(scores=held_out(self.features, world.folds))
        promised = promise(images.scores, images.groups, world.asked)
        self.expectation = expectation(promised)
        known = photographed(images.statistics, images.groups)
        self.metadata = {"held_out_scores": np.sort(images.scores), "training_images": known}
        if world.asked.folds == CALIBRATION:
            self.metadata |= {"training_images": {}, "calibration": {"statistics": known}}
        self.known = known

    def day(self, total: int) -> Images:
        """New images of the same world; of modules, as large as those that the detector knows."""
        sizes: np.ndarray = np.ones(0, int)
        if self.world.modules:
            sizes = self.rng.choice(self.sizes, size=total)  # more than needed: the rest is cut
        images = self.world.images(self.rng, total, sizes)
        if self.world.folds:
            new = features(self.rng, total)
            images = images._replace(scores=distances(self.features, new))
        return images

    def differences(self, day: Images) -> dict[str, list[str]]:
        """What is named, by method."""
        world = same_world(day.scores, self.expectation, day.statistics, self.metadata)
        earlier = before(day, self.expectation, self.metadata["held_out_scores"], self.known)
        return {USED: world["differences"], "before": earlier}


DIMENSIONS = 20


def features(rng: np.random.Generator, total: int) -> np.ndarray:
    """float64, (total, 20), of variances that fall from 1."""
    return rng.standard_t(6, size=(total, DIMENSIONS)) / np.arange(1, DIMENSIONS + 1) ** 0.5


def distances(train: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis distances, with a shrunken covariance."""
    covariance = np.cov(train.T) + 0.05 * np.eye(DIMENSIONS)
    offsets = new - train.mean(axis=0)
    return (offsets * np.linalg.solve(covariance, offsets.T).T).sum(axis=1)


def held_out(train: np.ndarray, folds: int) -> np.ndarray:
    """Distances of training images, each by a model without its fold."""
    found = np.empty(len(train))
    for fold in range(min(folds, len(train))):
        own = np.arange(len(train)) % folds == fold
        found[own] = distances(train[~own], train[own])
    return found


def before(
    day: Images, expected: Mapping[str, Any], known_scores: np.ndarray, known: Mapping[str, Any]
) -> list[str]:
    """What was named before: each test at 1 %, the images behind the threshold without error."""
    total, found = len(day.scores), []
    if low_end((day.scores >= expected["value"]).sum(), total) > expected["rate_range"][1]:
        found.append("above")
    if kolmogorov_smirnov(day.scores, known_scores)[1] < 0.01:
        found.append("scores")
    for name, values in zip(ImageStatistics._fields, np.array(day.statistics).T, strict=True):
        outside = (values < known[name][0]) | (values > known[name][-1])
        if low_end(outside.sum(), total) > 2 / (known["images"] + 1):
            found.append(name)
    return found


def low_end(hits: int, of: int) -> float:
    """Of the Clopper-Pearson interval."""
    return betaincinv(hits, of - hits + 1, 0.025) if hits else 0.0


WORLDS = {
    "normal scores": World(),
    "by the tolerance": World(asked=Asked(0.05, TOLERANCE)),
    "1 % asked": World(asked=Asked(0.01)),
    "1 % asked, by the tolerance": World(asked=Asked(0.01, TOLERANCE)),
    "skewed scores, images of many sizes": World(shape=np.exp, sizes=(280, 320)),
    "scores that are whole numbers": World(shape=lambda z: np.round(2 * z)),
    "13 modules": World(modules=True),
    "13 modules, skewed scores, by the tolerance": World(
        shape=np.exp, modules=True, asked=Asked(0.05, TOLERANCE)
    ),
    "calibrated on 13 parts": World(modules=True, asked=Asked(0.05, folds=CALIBRATION)),
    "fitted, one held out at a time": World(folds=10**6),
    "fitted, 20 folds": World(folds=20, asked=Asked(0.05, folds=MANY)),
    "fitted, 5 folds": World(folds=5, asked=Asked(0.05, folds=FOLDS)),
}


def rows(trials: int) -> Iterator[Row]:
    """Of days without a change."""
    with without_interval():
        for name in WORLDS:
            yield from unchanged_rows(name, trials)


def without_interval() -> AbstractContextManager[Any]:
    """Leave out an interval that is printed, decides nothing and takes most of the time."""
    return patch.object(drift, "rate_interval", return_value=(0.0, 1.0))


def unchanged_rows(name: str, trials: int) -> Iterator[Row]:
    """A row per number of training images, of new ones, and method."""
    for trained in TRAINED:
        named = {(total, method): 0 for total in DAYS for method in METHODS}
        for seed in range(trials):
            detector = Detector(WORLDS[name], np.random.default_rng([trained, seed]), trained)
            for total in DAYS:
                for method, found in detector.differences(detector.day(total)).items():
                    named[total, method] += bool(found)
        for (total, method), count in named.items():
            case = f"{name}, {trained} training images, {total} new ones"
            kept = 1 - count / trials
            yield Row(FIGURE, case, method, 1 - ALARMS, kept, float("nan"), 1.0, trials)


FIGURE = "a day without a change names no difference"
METHODS = (USED, "before")
