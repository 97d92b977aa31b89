"""Rule `study`: a detector on more and more training images, or on some defective ones."""

from defectbench.errors import job_log
from defectbench.records import with_code
from defectbench.scorers import scorer_class
from defectbench.scorers.largest_tile import of_features
from defectbench.studies.results import Settings, write_study
from defectbench.studies.training_set import effective_settings, training_set_levels
from defectbench.studies.trial import open_category

with (
    job_log(snakemake.log[0]),
    open_category(
        snakemake.input.index,
        snakemake.input.features,
        snakemake.params.features_group,
        snakemake.params.layers,
        snakemake.params.groups,
        snakemake.wildcards.category,
        snakemake.params.scorer,
    ) as (category, made),
):
    params, wildcards = snakemake.params, snakemake.wildcards
    block, settings = effective_settings(
        wildcards.study,
        params.study,
        Settings.of_params(params, params.trimmed),
    )
    scorer = of_features(scorer_class(params.scorer)(**params.parameters), category.X)
    levels = training_set_levels(
        wildcards.study, scorer, category, block, settings, "/".join(wildcards)
    )
    write_study(
        snakemake.output.study,
        wildcards.study,
        wildcards,
        block,
        settings,
        category.images,
        levels=levels,
        specification=with_code(made, "study", params.code["code"]),
    )
