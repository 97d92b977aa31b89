"""All pixel-level figures of one detector on one category: how well its maps mark the defects."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from defectbench.errors import InputError
from defectbench.evaluation.map_geometry import map_blocks, over_whole_image
from defectbench.evaluation.pixel_intervals import pixel_intervals
from defectbench.evaluation.pixel_metrics import (
    CURVE_RATES,
    defect_pixel_metrics,
    figures_at,
    pixel_metrics,
    pro_curve,
)
from defectbench.evaluation.pixel_ranks import (
    collect_pixels,
    measured_pixels,
    pixel_bytes,
    rank_pixels,
)
from defectbench.images.canvas import CROP, Preprocessing
from defectbench.images.index import IndexRow
from defectbench.images.mask_pixels import read_mask
from defectbench.memory import refuse_beyond_memory
from defectbench.scorers.grids import bilinear

NO_MAPS = "the method does not localize"
NO_MASKS = "no defective image has a mask"
SMALLER = "set the method's `resolution` to the side of smaller maps, such as 256"
NO_BACKGROUND = "no pixel is free of defects"


def pixel_figures(
    rows: Sequence[IndexRow],
    maps: np.ndarray | None,
    folder: Path,
    resolution: int | str,
    preprocessing: Preprocessing,
    threshold: float | None,
    seed: int,
    category: str,
    scratch: Path | None = None,
) -> dict[str, Any]:
    """What ``pixel_metrics.json`` says of the maps of the test images.

    Parameters
    ----------
    rows
        Index of the test images, with their groups.
    maps
        Theirs, (n_images, rows, columns), in memory or as an HDF5 dataset; None of a detector
        that does not localize.
    folder
        Of the category's images and masks.
    resolution
        Side of the square that map and mask are brought to, or ``original``.
    preprocessing
        Of which the maps' canvas is.
    threshold
        The pixel threshold; None without held-out maps.
    seed, category
        What the resampling depends on.
    scratch
        Where the background's pixels wait, 4 bytes each; see `spool.Spool`.

    Returns
    -------
    dict
        ``metrics``, ``intervals`` and ``interval_error``, ``defects`` (per type), ``regions``,
        ``pixels`` and ``curve`` of the per-region overlap; ``reason`` says why there are none.

    Raises
    ------
    InputError
        If this process cannot have the memory that the figures take, or a mask cannot be read.
    """
    nothing = {"intervals": {}, "interval_error": None, "defects": [], "regions": 0}
    nothing = {"metrics": pixel_metrics(None), **nothing}
    if maps is None:
        return nothing | {"reason": NO_MAPS}
    # what is defective and has no mask can neither count as background nor as region
    measured = [place for place, row in enumerate(rows) if row.mask or not row.label]
    kept = [rows[place] for place in measured]
    if not any(row.mask for row in kept):
        return nothing | {"reason": NO_MASKS}
    sizes = measured_pixels(kept, resolution)
    refuse_beyond_memory(pixel_bytes(sizes, 0), SMALLER)
    own_maps = (maps[place] for place in measured)
    # what was cut off is never marked: its defects count as missed
    unseen = (
        min(maps[place].min() for place in measured)
        if preprocessing.get("aspect") == CROP
        else None
    )
    pixels = collect_pixels(
        maps_and_masks(kept, own_maps, folder, resolution, preprocessing, unseen), scratch
    )
    refuse_beyond_memory(pixel_bytes(sizes, len(pixels.scores)), SMALLER)
    ranked = rank_pixels(pixels)
    if ranked is None:
        return nothing | {"reason": NO_BACKGROUND}
    metrics = pixel_metrics(ranked)
    groups = np.array([row.group for row in kept], str)
    intervals, error = pixel_intervals(pixels, ranked, metrics, groups, seed, category)
    if threshold is not None:
        metrics |= {f"honest_{key}": share for key, share in figures_at(pixels, threshold).items()}
    return {
        "metrics": metrics,
        "intervals": intervals,
        "interval_error": error,
        "defects": defect_pixel_metrics(pixels, np.array([row.defect for row in kept])),
        "regions": len(pixels.region_size),
        "pixels": {"background": ranked.background, "defective": len(pixels.scores)},
        "curve": {
            "false_positive_rate": CURVE_RATES.round(6).tolist(),
            "overlap": pro_curve(ranked, CURVE_RATES).round(6).tolist(),
        },
        "reason": "",
    }


def maps_and_masks(
    rows: Sequence[IndexRow],
    maps: Iterable[np.ndarray],
    folder: Path,
    resolution: int | str,
    preprocessing: Preprocessing,
    unseen: float | None,
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Map and mask of each image at its own size, or squashed to the side asked for."""
    side = None if resolution == "original" else int(resolution)
    for row, anomaly_map in zip(rows, maps, strict=True):
        mask = read_mask(folder / row.mask, row.width, row.height, side) if row.mask else None
        whole = over_whole_image(anomaly_map, (row.height, row.width), preprocessing, unseen)
        yield bilinear(whole, (side or row.height, side or row.width)), mask


def check_finite(file: str, maps: np.ndarray) -> None:
    """Refuse maps whose scores cannot be ordered.

    Raises
    ------
    InputError
        Naming the file and the first such map.
    """
    finite = [np.isfinite(block).all(axis=(1, 2)) for block in map_blocks(maps)]
    broken = ~np.concatenate(finite)
    if broken.any():
        raise InputError(
            f"{file}: {broken.sum()} maps hold scores that are not finite, the first in row "
            f"{broken.argmax()}; the detector must give finite ones"
        )
