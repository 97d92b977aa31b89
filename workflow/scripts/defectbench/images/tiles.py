"""A canvas cut into tiles that overlap: where they begin, and how much each counts where."""

import itertools
from dataclasses import dataclass
from math import ceil
from typing import Self

import numpy as np

from defectbench.images.canvas import Preprocessing, Shape, canvas, multiple_of


@dataclass(frozen=True)  # not a tuple, which PyTorch's exporter would take apart
class Tiling:
    """Tiles of a canvas, row by row.

    Attributes
    ----------
    size
        Side of a tile, in pixels.
    tops, lefts
        Where rows and columns of tiles begin, in pixels.
    """

    size: int
    tops: tuple[int, ...]
    lefts: tuple[int, ...]

    @classmethod
    def of(cls, preprocessing: Preprocessing, covered: Shape | None = None) -> Self | None:
        """Tiles of a canvas, or of a part of it; None of a preprocessing without tiles.

        Parameters
        ----------
        preprocessing
            From `canvas.with_canvas`.
        covered
            Height and width of the part, no smaller than a tile.
        """
        if "tiles" not in preprocessing:
            return None
        size, overlap = preprocessing["tiles"]["size"], preprocessing["tiles"]["overlap"]
        starts = (
            tile_starts(length, size, overlap, multiple_of(preprocessing))
            for length in covered or canvas(preprocessing)
        )
        return cls(size, *starts)

    def __len__(self) -> int:
        return len(self.tops) * len(self.lefts)

    def cut(self, pixels: np.ndarray) -> np.ndarray:
        """Tiles of a canvas: (n_tiles, size, size, …)."""
        return np.stack(
            [
                pixels[top : top + self.size, left : left + self.size]
                for top in self.tops
                for left in self.lefts
            ]
        )


def tile_starts(length: int, size: int, overlap: int, multiple: int) -> tuple[int, ...]:
    """Where tiles begin along an axis, as evenly as multiples of the stride allow.

    Parameters
    ----------
    length, size
        Of the axis and of a tile, multiples of `multiple`; no tile is larger than the axis.
    overlap
        Of two tiles, at least; of less than `multiple` more or less there is no choice.
    multiple
        Of which each start is a multiple, so that positions of feature maps fall on each other.
    """
    step = max(multiple, (size - overlap) // multiple * multiple)
    steps = ceil((length - size) / step)
    if not steps:
        return (0,)
    last = (length - size) // multiple
    return tuple(round(number * last / steps) * multiple for number in range(steps + 1))


def tile_weights(starts: tuple[int, ...], size: int) -> np.ndarray:
    """How much each tile counts at each position along an axis; together one at each.

    Towards another tile a tile's share falls linearly over what the two have in common: positions
    at its edge see less of their surroundings than those of its neighbour there.

    Parameters
    ----------
    starts, size
        Of the tiles, in positions of a map.

    Returns
    -------
    ndarray
        float32, (n_tiles, size).
    """
    own = np.ones((len(starts), size))
    places = np.arange(size)
    for number, (first, second) in enumerate(itertools.pairwise(starts)):
        common = first + size - second
        rising = (places + 0.5) / max(common, 0.5)
        own[number] = np.minimum(own[number], rising[::-1])
        own[number + 1] = np.minimum(own[number + 1], rising)
    total = np.zeros(starts[-1] + size)
    for start, weights in zip(starts, own, strict=True):
        total[start : start + size] += weights
    shares = [
        weights / total[start : start + size] for start, weights in zip(starts, own, strict=True)
    ]
    return np.array(shares, np.float32)
