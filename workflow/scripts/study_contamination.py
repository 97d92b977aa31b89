"""Rule `study_contamination`: defective images among the training images, from cached features."""

from defectbench.errors import job_log
from defectbench.progress import Progress
from defectbench.scorers import scorer_class
from defectbench.storage import write_json
from defectbench.studies.training_set import contamination
from defectbench.studies.trial import Settings, read_category

with job_log(snakemake.log[0]):
    given, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    category, provenance = read_category(
        given.index, given.features, params.group, params.layers, params.groups, wildcards.category
    )
    settings = Settings(params.false_positive_rate, params.folds, params.seed)
    study = params.study | ({"trimmed": params.trimmed} if params.trimmed else {})
    levels = contamination(
        scorer_class(params.scorer)(**params.parameters),
        category,
        study["shares"],
        study["repeats"],
        study["removed_from_test"],
        study["trimmed"],
        settings,
        Progress(len(study["shares"]) * study["repeats"], "/".join(wildcards), "pairs").advance,
    )
    write_json(
        snakemake.output.study,
        {
            **dict(wildcards),
            "study": "contamination",
            "settings": study,
            **settings._asdict(),
            "images": category.images,
            "levels": levels,
            "provenance": provenance | {"code_study": params.code["code"]},
        },
    )
