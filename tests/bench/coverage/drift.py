"""New images of days without a change, which are to name no difference.

Every simulated day has a detector of its own: scores that were held out, a threshold by the
product's rule, images.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import betaincinv
from simulated import USED, Row, quicker

from defectbench.deployment.expectations import expectation
from defectbench.evaluation.drift import ALARMS, same_world
from defectbench.evaluation.photographs import ImageStatistics, photographed
from defectbench.evaluation.promises import CALIBRATION, FOLDS, MANY, TOLERANCE, Asked, promise
from defectbench.evaluation.two_samples import kolmogorov_smirnov

TRAINED = (20, 59, 100, 300)
DAYS = (50, 200, 1000)
MODULES = 13
MEANS = np.array([137.3, 3.44])
SPREAD = np.array([0.0097, 0.0373])
TOGETHER = 0.63
"""Means, relative standard deviations and correlation of brightness and sharpness over the 209
good training images of MVTec AD's bottle at 300 by 300 pixels, as `image_statistics` gives them."""


class Images(NamedTuple):
    """Scores, figures (n_images, 4) and groups of images."""

    scores: np.ndarray
    statistics: np.ndarray
    groups: np.ndarray


class World(NamedTuple):
    """Where images come from.

    Attributes
    ----------
    shape
        From standard normal values to scores.
    sizes
        Smallest and largest width.
    alike
        Share of the variance of scores and light that images of a module have in common. If there
        is one, a detector's images come from 13 modules, and those of a day from as large ones.
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
    alike: float = 0
    asked: Asked = Asked(0.05)
    folds: int = 0
    spread: float = 1

    def images(self, rng: np.random.Generator, total: int, sizes: Sequence[int] = ()) -> Images:
        """Images in modules of these sizes; each its own for none."""
        groups = np.repeat(np.arange(len(sizes)), sizes)[:total] if len(sizes) else np.arange(total)
        shared = rng.normal(size=(3, groups.max() + 1))[:, groups]
        latent = self.alike**0.5 * shared + (1 - self.alike) ** 0.5 * rng.normal(size=(3, total))
        latent[2] = TOGETHER * latent[1] + (1 - TOGETHER**2) ** 0.5 * latent[2]
        light = MEANS[:, None] * (1 + self.spread * SPREAD[:, None] * latent[1:])
        widths = rng.integers(self.sizes[0], self.sizes[1], total, endpoint=True)
        figures = np.column_stack([*light, widths, np.full(total, 300)])
        names = groups.astype(str) if self.alike else np.full(total, "")
        return Images(self.shape(latent[0]), figures, names)


def module_sizes(rng: np.random.Generator, total: int) -> np.ndarray:
    """Of 13 modules of unequal sizes, one image at least."""
    shares = rng.uniform(0.4, 1.6, MODULES)
    return 1 + rng.multinomial(total - MODULES, shares / shares.sum())


class Detector:
    """What a detector knows of the images that its threshold comes from."""

    def __init__(self, world: World, rng: np.random.Generator, total: int) -> None:
        self.world, self.rng = world, rng
        self.sizes = module_sizes(rng, total) if world.alike else np.ones(0, int)
        images = world.images(rng, total, self.sizes)
        if world.folds:
            self.features = features(rng, total)
            images = images._replace(scores=held_out(self.features, min(world.folds, total)))
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
        if self.world.alike:
            sizes = self.rng.choice(self.sizes, size=total)  # more than needed: the rest is cut
        images = self.world.images(self.rng, total, sizes)
        if self.world.folds:
            new = features(self.rng, total)
            images = images._replace(scores=distances(self.features, new))
        return images

    def differs(self, day: Images) -> dict[str, bool | None]:
        """Whether a difference is named, by method; None where the images are too few to tell."""
        world = same_world(day.scores, self.expectation, day.statistics, self.metadata)
        told = not world["advice"].startswith("too few")
        earlier = before(day, self.expectation, self.metadata["held_out_scores"], self.known)
        return {USED: bool(world["differences"]) if told else None, "before": bool(earlier)}


DIMENSIONS = 20
SHRINKAGE = 0.05 * np.eye(DIMENSIONS)


def features(rng: np.random.Generator, total: int) -> np.ndarray:
    """float64, (total, 20), of variances that fall from 1."""
    return rng.standard_t(6, size=(total, DIMENSIONS)) / np.arange(1, DIMENSIONS + 1) ** 0.5


def distances(train: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis distances, with a shrunken covariance."""
    covariance = np.cov(train.T) + SHRINKAGE
    offsets = new - train.mean(axis=0)
    return (offsets * np.linalg.solve(covariance, offsets.T).T).sum(axis=1)


def held_out(train: np.ndarray, folds: int) -> np.ndarray:
    """Distances of training images, each by a model without its fold; all models at once."""
    fold = np.arange(len(train)) % folds
    member = np.eye(folds)[fold].T
    rest = len(train) - member.sum(axis=1)
    means = (train.sum(axis=0) - member @ train) / rest[:, None]
    own = np.einsum("kn,ni,nj->kij", member, train, train, optimize=True)
    squares = train.T @ train - own - rest[:, None, None] * np.einsum("ki,kj->kij", means, means)
    inverse = np.linalg.inv(squares / (rest - 1)[:, None, None] + SHRINKAGE)
    offsets = train - means[fold]
    return np.einsum("ni,nij,nj->n", offsets, inverse[fold], offsets, optimize=True)


def before(
    day: Images, expected: Mapping[str, Any], known_scores: np.ndarray, known: Mapping[str, Any]
) -> list[str]:
    """What was named before: each test at 1 %, the images behind the threshold without error."""
    total, found = len(day.scores), []
    if low_end((day.scores >= expected["value"]).sum(), total) > expected["rate_range"][1]:
        found.append("above")
    if kolmogorov_smirnov(day.scores, known_scores)[1] < 0.01:
        found.append("scores")
    for name, values in zip(ImageStatistics._fields, day.statistics.T, strict=True):
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
    "13 modules": World(alike=0.5),
    "13 modules, skewed scores, by the tolerance": World(
        shape=np.exp, alike=0.5, asked=Asked(0.05, TOLERANCE)
    ),
    "calibrated on 13 parts": World(alike=0.95, asked=Asked(0.05, folds=CALIBRATION)),
    "fitted, one held out at a time": World(folds=10**6),
    "fitted, 20 folds": World(folds=20, asked=Asked(0.05, folds=MANY)),
    "fitted, 5 folds": World(folds=5, asked=Asked(0.05, folds=FOLDS)),
}


def rows(trials: int) -> Iterator[Row]:
    """Of days without a change."""
    with quicker():
        for name in WORLDS:
            yield from unchanged_rows(name, trials)


def unchanged_rows(name: str, trials: int) -> Iterator[Row]:
    """A row per number of training images, of new ones, and method."""
    for trained in TRAINED:
        found: dict[tuple[int, str], list[bool | None]] = {}
        for seed in range(trials):
            detector = Detector(WORLDS[name], np.random.default_rng([trained, seed]), trained)
            for total in DAYS:
                for method, differs in detector.differs(detector.day(total)).items():
                    found.setdefault((total, method), []).append(differs)
        for (total, method), days in found.items():
            case = f"{name}, {trained} training images, {total} new ones"
            told = [differs for differs in days if differs is not None]
            kept = 1 - float(np.mean(told)) if told else float("nan")
            share = len(told) / trials
            yield Row(FIGURE, case, method, 1 - ALARMS, kept, float("nan"), share, trials)


FIGURE = "a day without a change names no difference"
