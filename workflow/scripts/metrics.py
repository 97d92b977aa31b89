"""Rule `metrics`: image-level metrics of one detector on one category."""

from defectbench import records
from defectbench.errors import job_log
from defectbench.evaluation.cautions import approximations, fewer_folds
from defectbench.evaluation.cells import SEPARATOR
from defectbench.evaluation.image_figures import image_figures

with job_log(snakemake.log[0]):
    given, params, names = snakemake.input, snakemake.params, dict(snakemake.wildcards)
    held_out = records.read_held_out(given.held_out)
    figures, replicates = image_figures(
        records.read_scores(given.scores),
        held_out,
        params.false_positive_rate,
        params.seed,
        names["category"],
    )
    specification = records.with_code(
        records.read_specification(given.model), "evaluation", params.code["code"]
    )
    method = names["method"].partition(SEPARATOR)[0]  # of several seeds once
    detector = f"{method} {names['backbone']}"
    asked, most = specification["folds"], specification["most_folds"]
    figures["cautions"] += approximations(specification["analysis"], detector)
    figures["cautions"] += fewer_folds(asked, most, held_out, detector)
    records.write_specified(snakemake.output.replicates, replicates, specification)
    records.write_metrics(
        snakemake.output.metrics,
        {
            **names,
            "seed": params.seed,
            "false_positive_rate": params.false_positive_rate,
            **figures,
            "specification": specification,
        },
    )
