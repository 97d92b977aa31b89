"""Rule `metrics`: image-level metrics of one detector on one category."""

from defectbench.errors import job_log
from defectbench.evaluation.image_figures import image_figures
from defectbench.records import (
    read_held_out,
    read_scores,
    read_specification,
    with_code,
    write_metrics,
    write_specified,
)

with job_log(snakemake.log[0]):
    given, params, names = snakemake.input, snakemake.params, dict(snakemake.wildcards)
    figures, replicates = image_figures(
        read_scores(given.scores),
        read_held_out(given.held_out),
        params.false_positive_rate,
        params.seed,
        names["category"],
    )
    specification = with_code(read_specification(given.model), "evaluation", params.code["code"])
    write_specified(snakemake.output.replicates, replicates, specification)
    write_metrics(
        snakemake.output.metrics,
        {
            **names,
            "seed": params.seed,
            "false_positive_rate": params.false_positive_rate,
            **figures,
            "specification": specification,
        },
    )
