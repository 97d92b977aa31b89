"""Rules `maps` and `overlays`: one detector on one category in pictures, telling ones or all."""

from pathlib import Path

from defectbench.atomic import atomic_path
from defectbench.errors import job_log
from defectbench.evaluation.map_geometry import MapScale
from defectbench.images.index import read_index
from defectbench.map_file import open_maps
from defectbench.records import read_metrics, read_scores
from defectbench.reports.pictures import Picture, choose_pictures, draw_image, file_names, verdicts
from defectbench.storage import read_json, write_json

with job_log(snakemake.log[0]), open_maps(snakemake.input.maps) as (stored, _):
    given, folder = snakemake.input, Path(snakemake.output.pictures)
    category = Path(given.category)
    metrics, pixels = read_metrics(given.metrics), read_json(given.pixel_metrics)
    threshold, specification = metrics["thresholds"]["honest"], metrics["specification"]
    scale = MapScale(pixels["typical_level"], pixels["pixel_threshold"])
    rows = {row.path: row for row in read_index(given.index)}
    test, maps = read_scores(given.scores), stored.get("test")
    judged = verdicts(test, threshold)
    if maps is None:
        pictures = []
    elif snakemake.params.every_image:
        pictures = [Picture(row, "every image was asked for") for row in range(len(maps))]
    else:
        pictures = choose_pictures(test, threshold)
    names = file_names(pictures, test, judged)
    entries = []
    for name, (row, why) in zip(names, pictures, strict=True):
        path = test.paths[row]
        anomaly_map = maps[row]
        panels = draw_image(category, rows[path], specification, anomaly_map, scale)
        with atomic_path(folder / name) as part:
            panels.save(part, "WEBP", quality=75, method=4)
        entries.append(
            {
                "file": name,
                "path": path,
                "why": why,
                "defect": str(test.defects[row]),
                "verdict": judged[row],
                "anomaly_score": float(test.scores[row]),
                "map_maximum": float(anomaly_map.max()),
            }
        )
    write_json(
        folder / "index.json",
        {
            **dict(snakemake.wildcards),
            "threshold": threshold,
            "pixel_threshold": scale.threshold,
            "typical_level": scale.typical,
            "reason": "" if entries else pixels["reason"],
            "pictures": entries,
        },
    )
