"""Rule `pixel_metrics`: how well a detector's anomaly maps mark a category's defects."""

from dataclasses import replace
from pathlib import Path

from defectbench.errors import job_log
from defectbench.evaluation.good_images import read_good_images
from defectbench.evaluation.held_out import how_held_out
from defectbench.evaluation.map_geometry import map_scale
from defectbench.evaluation.pixel_figures import check_finite, pixel_figures
from defectbench.evaluation.promises import Asked
from defectbench.images.index import read_index
from defectbench.map_file import open_maps
from defectbench.records import read_scores, with_code
from defectbench.storage import write_json

with (
    job_log(snakemake.log[0]),
    open_maps(snakemake.input.maps) as (maps, specification),
):
    given, params, names = snakemake.input, snakemake.params, dict(snakemake.wildcards)
    # the scores know the groups that the dataset's settings name, the index those of its source
    groups = read_scores(given.scores).groups
    test = [row for row in read_index(given.index) if row.split == "test"]
    test = [replace(row, group=group) for row, group in zip(test, groups, strict=True)]
    for stored in maps.values():
        check_finite(given.maps, stored)
    good = read_good_images(given.held_out, given.calibration)
    folds = how_held_out(specification["scorer"], good.held_out.folds, good.held_out.groups)
    asked = good.asked(Asked(params.false_positive_rate, params.rule, folds))
    typical, threshold = map_scale(maps.get(good.maps), good.setting.by_path().groups, asked)
    figures = pixel_figures(
        test,
        maps.get("test"),
        Path(given.category),
        params.resolution,
        specification["preprocessing"],
        threshold,
        params.seed,
        names["category"],
        Path(snakemake.output.metrics).parent,
    )
    write_json(
        snakemake.output.metrics,
        {
            **names,
            "seed": params.seed,
            "resolution": params.resolution,
            "false_positive_rate": params.false_positive_rate,
            "images": {
                "test_good": sum(not row.label for row in test),
                "test_defective": sum(row.label for row in test),
            },
            "left_out": sum(bool(row.label and not row.mask) for row in test),
            "pixel_threshold": threshold,
            "typical_level": typical,
            **figures,
            "specification": with_code(specification, "pixel metrics", params.code["code"]),
        },
    )
