"""Rule `metrics`: image-level metrics of one detector on one category."""

from defectbench import records
from defectbench.errors import job_log
from defectbench.evaluation.cautions import approximations
from defectbench.evaluation.cells import SEPARATOR
from defectbench.evaluation.found_by_size import found_by_size, measured_defects
from defectbench.evaluation.good_images import read_good_images
from defectbench.evaluation.held_out import how_held_out
from defectbench.evaluation.image_figures import image_figures
from defectbench.evaluation.promises import Asked
from defectbench.images.index import read_index
from defectbench.storage import read_json

with job_log(snakemake.log[0]):
    given, params, names = snakemake.input, snakemake.params, dict(snakemake.wildcards)
    specification = records.with_code(
        records.read_specification(given.model), "evaluation", params.code["code"]
    )
    good = read_good_images(given.held_out, given.calibration)
    folds = how_held_out(specification["scorer"], good.held_out.folds, good.held_out.groups)
    scores = records.read_scores(given.scores)
    figures, replicates = image_figures(
        scores,
        good,
        Asked(params.false_positive_rate, params.rule, folds),
        params.seed,
        names["category"],
        read_json(given.without_decisive),
    )
    method = names["method"].partition(SEPARATOR)[0]  # of several seeds once
    detector = f"{method} {names['backbone']}"
    test = [row for row in read_index(given.index) if row.split == "test"]
    defects = measured_defects(
        scores, test, specification["preprocessing"], figures["thresholds"]["honest"]
    )
    figures["cautions"] += approximations(specification["analysis"], detector)
    records.write_specified(snakemake.output.replicates, replicates, specification)
    records.write_metrics(
        snakemake.output.metrics,
        {
            **names,
            "seed": params.seed,
            "false_positive_rate": params.false_positive_rate,
            **figures,
            "found_by_size": found_by_size(defects),
            "specification": specification,
        },
    )
