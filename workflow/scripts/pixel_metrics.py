"""Rule `pixel_metrics`: how well a detector's anomaly maps mark a category's defects."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from defectbench.errors import InputError, job_log
from defectbench.evaluation.map_geometry import over_whole_image
from defectbench.evaluation.pixel_intervals import pixel_intervals
from defectbench.evaluation.pixel_metrics import (
    CURVE_RATES,
    collect_pixels,
    defect_pixel_metrics,
    figures_at,
    pixel_metrics,
    pixel_threshold,
    pro_curve,
    rank_pixels,
)
from defectbench.images.index import IndexRow, read_index
from defectbench.images.masks import read_mask
from defectbench.images.resizing import SQUASH
from defectbench.scorers.grids import bilinear
from defectbench.storage import read_arrays, write_json

NO_MAPS = "the method does not localize"
NO_MASKS = "no defective image has a mask"
NO_BACKGROUND = "no pixel is free of defects"


def read_images(
    rows: list[IndexRow], maps: np.ndarray, folder: Path, resolution: int | str, aspect: str
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Map and mask of each image at its own size, or squashed to the side asked for."""
    side = None if resolution == "original" else int(resolution)
    unseen = maps.min()  # what was cut off is never marked: its defects count as missed
    for row, anomaly_map in zip(rows, maps, strict=True):
        mask = read_mask(folder / row.mask, row.width, row.height, side) if row.mask else None
        whole = over_whole_image(anomaly_map, row.height, row.width, aspect, unseen)
        yield bilinear(whole, (side or row.height, side or row.width)), mask


def check_finite(file: str, maps: np.ndarray) -> None:
    """Refuse maps whose scores cannot be ordered."""
    broken = ~np.isfinite(maps).all(axis=(1, 2))
    if broken.any():
        raise InputError(
            f"{file}: {broken.sum()} maps hold scores that are not finite, the first in row "
            f"{broken.argmax()}; the detector must give finite ones"
        )


def evaluate(rows: list[IndexRow], maps: np.ndarray, threshold: float | None, aspect: str) -> dict:
    """Metrics, intervals, defect types and curve of the images that can be measured."""
    measured = [k for k, row in enumerate(rows) if row.mask or not row.label]
    kept = [rows[k] for k in measured]
    if not any(row.mask for row in kept):
        return {"metrics": pixel_metrics(None), "reason": NO_MASKS}
    folder, resolution = Path(snakemake.input.category), snakemake.params.resolution
    pixels = collect_pixels(read_images(kept, maps[measured], folder, resolution, aspect))
    ranked = rank_pixels(pixels)
    metrics = pixel_metrics(ranked)
    if ranked is None:
        return {"metrics": metrics, "reason": NO_BACKGROUND}
    intervals, error = pixel_intervals(
        pixels, ranked, metrics, snakemake.params.seed, snakemake.wildcards.category
    )
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


with job_log(snakemake.log[0]):
    test = [row for row in read_index(snakemake.input.index) if row.split == "test"]
    arrays, attributes = read_arrays(snakemake.input.maps)
    provenance = attributes.get("provenance", {})
    aspect = provenance.get("preprocessing", {}).get("aspect", SQUASH)
    threshold = typical = None
    for stored in arrays.values():
        check_finite(snakemake.input.maps, stored)
    if "held_out" in arrays:
        threshold = pixel_threshold(arrays["held_out"], snakemake.params.false_positive_rate)
        typical = float(np.median(arrays["held_out"]))
    figures = (
        evaluate(test, arrays["test"], threshold, aspect)
        if "test" in arrays
        else {"metrics": pixel_metrics(None), "reason": NO_MAPS}
    )
    empty = {"intervals": {}, "interval_error": None, "defects": [], "regions": 0}
    write_json(
        snakemake.output.metrics,
        {
            **dict(snakemake.wildcards),
            "seed": snakemake.params.seed,
            "resolution": snakemake.params.resolution,
            "false_positive_rate": snakemake.params.false_positive_rate,
            "images": {
                "test_good": sum(not row.label for row in test),
                "test_defective": sum(row.label for row in test),
            },
            "left_out": sum(bool(row.label and not row.mask) for row in test),
            "pixel_threshold": threshold,
            "typical_level": typical,
            **empty,
            **figures,
            "provenance": {**provenance, "code_pixel_metrics": snakemake.params.code["code"]},
        },
    )
