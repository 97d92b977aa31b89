"""Rules `maps` and `overlays`: one detector on one category in pictures, telling ones or all."""

from pathlib import Path

import numpy as np

from defectbench.errors import job_log
from defectbench.images.decoding import load_rgb
from defectbench.images.index import read_index
from defectbench.images.masks import read_mask
from defectbench.images.resizing import SQUASH
from defectbench.records import read_maps
from defectbench.reports.pictures import (
    ColourScale,
    draw_panels,
    every_picture,
    picture_names,
    select_pictures,
    verdict,
)
from defectbench.storage import atomic_path, read_json, read_tsv, write_json

with job_log(snakemake.log[0]):
    test = [row for row in read_index(snakemake.input.index) if row.split == "test"]
    stored, specification = read_maps(snakemake.input.maps)
    maps = stored.get("test")
    aspect = specification["preprocessing"].get("aspect", SQUASH)
    pixel_figures = read_json(snakemake.input.pixel_metrics)
    threshold = read_json(snakemake.input.metrics)["thresholds"]["honest"]
    labels = np.array([row.label for row in test])
    defects = np.array([row.defect for row in test])
    scores = np.array([float(row["anomaly_score"]) for row in read_tsv(snakemake.input.scores)])
    if maps is None:
        pictures = []
    elif snakemake.params.every_image:
        pictures = every_picture(labels, scores, threshold)
    else:
        pictures = select_pictures(labels, defects, scores, threshold)
    names = picture_names(pictures, [row.path for row in test], defects)
    category, folder = Path(snakemake.input.category), Path(snakemake.output.pictures)
    entries = []
    for name, (kind, k) in zip(names, pictures, strict=True):
        row = test[k]
        scale = ColourScale(pixel_figures["typical_level"], pixel_figures["pixel_threshold"])
        mask = read_mask(category / row.mask, row.width, row.height) if row.mask else None
        image = load_rgb(category / row.path, snakemake.params.bits)
        panels = draw_panels(image, maps[k], mask, scale, aspect)
        with atomic_path(folder / name) as part:
            panels.save(part, "WEBP", quality=75, method=4)
        entries.append(
            {
                "file": name,
                "path": row.path,
                "kind": kind,
                "defect": row.defect,
                "verdict": verdict(row.label, scores[k], threshold),
                "anomaly_score": float(scores[k]),
                "map_maximum": float(maps[k].max()),
            }
        )
    write_json(
        folder / "index.json",
        {
            **dict(snakemake.wildcards),
            "threshold": threshold,
            "pixel_threshold": pixel_figures["pixel_threshold"],
            "typical_level": pixel_figures["typical_level"],
            "reason": "" if entries else pixel_figures["reason"],
            "pictures": entries,
        },
    )
