"""What every scorer offers."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from defectbench.errors import InputError
from defectbench.scorers.grids import map_shape
from defectbench.scorers.layers import (
    Features,
    Layer,
    image_blocks,
    layer_list,
    number_of_images,
    take_images,
)

MAPS_BYTES, SMALL_MAP = 1 << 28, 1 << 16
"""Of maps that are made at once; smaller ones than these pixels count as much."""


class Judged(NamedTuple):
    """What a scorer says of some images.

    Attributes
    ----------
    rows
        Integers, (n_rows,): which images.
    scores
        float64, (n_rows,).
    maps
        float32, (n_rows, height, width); None where they are not wanted.
    """

    rows: np.ndarray
    scores: np.ndarray
    maps: np.ndarray | None


class Stored:
    """What is fitted, for storage."""

    fitted: ClassVar[tuple[str, ...]]
    """Names of the fitted attributes, which are all that scoring needs."""

    def to_arrays(self) -> dict[str, Layer]:
        """Fitted attributes by name, for storage; a list's arrays get numbered names."""
        arrays = {}
        for name in self.fitted:
            value = getattr(self, f"{name}_")
            if isinstance(value, list):
                arrays |= {f"{name}_{number}": array for number, array in enumerate(value)}
            else:
                arrays[name] = np.asarray(value) if np.isscalar(value) else value
        return arrays

    def from_arrays(self, arrays: dict[str, np.ndarray]) -> Self:
        """Restore the fitted attributes made by `to_arrays`."""
        for name in self.fitted:
            value: Any = arrays.get(name)
            if value is None:
                numbered = (f"{name}_{number}" for number in range(len(arrays)))
                value = [arrays[key] for key in numbered if key in arrays]
            setattr(self, f"{name}_", value)
        return self


class Scorer(Stored, ABC):
    """Anomaly scorer, fitted on features of defect-free images alone.

    The constructor stores keyword-only parameters; fitted attributes end in an underscore: arrays,
    numbers, or lists of arrays with one entry per layer.
    """

    parameter_schema: ClassVar[dict[str, dict[str, Any]]]
    """JSON schema of each constructor parameter, for checking a config."""

    localizes: ClassVar[bool] = False
    """Whether the scorer says where an anomaly is, if the features have a place."""

    position_free: ClassVar[bool] = False
    """Whether patches are compared whatever their place."""

    draws: ClassVar[bool] = False
    """Whether fitting draws random numbers; then the constructor takes `seed`."""

    few_folds: ClassVar[bool] = False
    """Whether each fold takes a fit or a selection of its own: ``auto`` then means few of them."""

    rough_scale: ClassVar[bool] = False
    """Whether `on_scale_of` is right on average alone, and not for each set of images."""

    dependent_scores: ClassVar[bool] = False
    """Whether scores of images left out one by one depend on each other, with the same outcome."""

    fewest_of_layers: ClassVar[int] = 2  # training images, to join several layers

    most_folds: ClassVar[int | None] = None
    """Folds at most, where a fit takes long; None for any number."""

    analysis_: str = "exact"
    """How what was fitted was computed; `evaluation.cautions` has words for all but ``exact``."""

    def fewest_images(self, n_layers: int = 1) -> int:
        """Training images without which the scorer cannot be fitted to so many layers."""
        return self.fewest_of_layers if n_layers > 1 else 2

    @abstractmethod
    def fit(self, X: Features) -> Self:
        """Learn what defect-free images look like.

        Parameters
        ----------
        X
            Features of the training images.

        Raises
        ------
        InputError
            If the features are not finite, constant, too few for the parameters, or more than
            this process has memory for.
        """

    def fit_for_folds(self, X: Features, folds: Sequence[np.ndarray]) -> Self:
        """Fit, told which images will be held out together, of which few scorers make use.

        Parameters
        ----------
        X
            Features of the training images.
        folds
            Rows of each fold, ascending; together every row once.

        Raises
        ------
        InputError
            As `fit` does.
        """
        return self.fit(X)

    def fit_bytes(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """Largest memory that fits, held-out ones included, and scoring take, in bytes.

        The interpreter and its libraries come on top. A scorer that says nothing else is believed
        to hold its features in float64, and as much again.

        Parameters
        ----------
        shapes
            Of each layer of the training images.
        """
        return 3 * 8 * sum(map(prod, shapes))

    @abstractmethod
    def anomaly_score(self, X: Features) -> np.ndarray:
        """Anomaly score of each image, higher for more anomalous ones.

        Parameters
        ----------
        X
            Features of the same layers as in `fit`.

        Returns
        -------
        ndarray
            float64, (n_images,).
        """

    def on_scale_of(self, reference: Self, scores: np.ndarray) -> np.ndarray:
        """Scores that this scorer gave, on the scale of `reference`: float64, (n_images,).

        Parameters
        ----------
        reference
            The scorer fitted on all training images.
        scores
            float64, (n_images,).
        """
        return scores

    def anomaly_map(self, X: Features) -> np.ndarray:
        """Anomaly of each place of each image, higher where it is more anomalous.

        Returns
        -------
        ndarray
            float32, (n_images, height, width).

        Raises
        ------
        InputError
            If the scorer does not localize, or the features have no place.
        """
        raise InputError(f"{type(self).__name__} scores whole images and has no anomaly map")

    def score_and_map(self, X: Features) -> tuple[np.ndarray, np.ndarray]:
        """Both of the same images, as `anomaly_score` and `anomaly_map` give them.

        A scorer whose score and map share most of the work does that once here.
        """
        return self.anomaly_score(X), self.anomaly_map(X)

    def held_out(self, X: Features, folds: Sequence[np.ndarray], *, maps: bool) -> Iterator[Judged]:
        """What the scorer says of each fold's images after a fit on all others, fold by fold.

        Every fold is a fit of its own here; a scorer that can leave images out for less does so.

        Parameters
        ----------
        X
            Features of the training images, on which the scorer is fitted.
        folds
            Rows of each fold, each row once at most.
        maps
            Whether maps are wanted.
        """
        return refitted_folds(self, X, folds, maps=maps)


def map_pixels(scorer: Scorer, shapes: Sequence[tuple[int, ...]]) -> int:
    """Pixels of one map.

    Parameters
    ----------
    scorer
        That localizes.
    shapes
        Of each layer of one image: channels, height and width.
    """
    grid = max((shape[1:] for shape in shapes), key=prod)
    size = getattr(scorer, "map_size", None)
    return prod(map_shape(grid, size) if size else grid)


def maps_at_once(scorer: Scorer, shapes: Sequence[tuple[int, ...]]) -> int:
    """Images whose maps are made at once; as for `map_pixels`."""
    return max(1, MAPS_BYTES // (4 * max(SMALL_MAP, map_pixels(scorer, shapes))))


def judge(scorer: Scorer, X: Features, *, maps: bool) -> Iterator[Judged]:
    """Scores and, if wanted, maps of all images, block by block.

    Parameters
    ----------
    scorer
        Fitted.
    X
        Features of the images.
    maps
        Whether maps are wanted.
    """
    if not maps:
        yield Judged(np.arange(number_of_images(X)), scorer.anomaly_score(X), None)
        return
    step = maps_at_once(scorer, [layer.shape[1:] for layer in layer_list(X)])
    for rows, parts in image_blocks(X):
        for start in range(rows.start, rows.stop, step):
            own = slice(start, min(start + step, rows.stop))
            layers = [part[own.start - rows.start : own.stop - rows.start] for part in parts]
            found = scorer.score_and_map(layers if isinstance(X, list) else layers[0])
            yield Judged(np.arange(own.start, own.stop), *found)


def judge_rows(scorer: Scorer, X: Features, rows: np.ndarray, *, maps: bool) -> Iterator[Judged]:
    """`judge` of some images, by their rows among all."""
    for found in judge(scorer, take_images(X, rows), maps=maps):
        yield found._replace(rows=rows[found.rows])


def refitted_folds(
    scorer: Scorer, X: Features, folds: Sequence[np.ndarray], *, maps: bool
) -> Iterator[Judged]:
    """`Scorer.held_out` by a fit of its own for every fold."""
    fold = copy.copy(scorer)
    for members in folds:
        rest = np.setdiff1d(np.arange(number_of_images(X)), members)
        fold.fit(take_images(X, rest))
        for found in judge_rows(fold, X, members, maps=maps):
            yield found._replace(scores=fold.on_scale_of(scorer, found.scores))
