"""Rule `study_training_size`: a detector fitted on more and more images, from cached features."""

from defectbench.errors import job_log
from defectbench.progress import Progress
from defectbench.scorers import scorer_class
from defectbench.storage import write_json
from defectbench.studies.training_set import training_size
from defectbench.studies.trial import Settings, read_category

with job_log(snakemake.log[0]):
    given, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    category, provenance = read_category(
        given.index, given.features, params.group, params.layers, params.groups, wildcards.category
    )
    settings = Settings(params.false_positive_rate, params.folds, params.seed, params.trimmed)
    study = params.study
    levels = training_size(
        scorer_class(params.scorer)(**params.parameters),
        category,
        study["images"],
        study["repeats"],
        settings,
        Progress(len(study["images"]) * study["repeats"], "/".join(wildcards), "fits").advance,
    )
    write_json(
        snakemake.output.study,
        {
            **dict(wildcards),
            "study": "training_size",
            "settings": study,
            **settings._asdict(),
            "images": category.images,
            "levels": levels,
            "provenance": provenance | {"code_study": params.code["code"]},
        },
    )
