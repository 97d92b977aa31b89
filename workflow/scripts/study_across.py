"""Rule `study_across`: a detector and its threshold on test images of other places."""

import contextlib

from defectbench.errors import job_log
from defectbench.records import with_code
from defectbench.scorers import scorer_class
from defectbench.scorers.largest_tile import of_features
from defectbench.studies.frozen import across, fitted_rows, judging_rows
from defectbench.studies.results import Settings, write_study
from defectbench.studies.trial import open_category

with job_log(snakemake.log[0]), contextlib.ExitStack() as opened:
    given, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    arrays = (params.features_group, params.layers)
    home, made = opened.enter_context(
        open_category(
            given.index, given.features, *arrays, params.groups, wildcards.category, params.scorer
        )
    )
    settings = Settings.of_params(params, params.trimmed)
    scorer = of_features(scorer_class(params.scorer)(**params.parameters), home.X)
    others = iter(zip(given.other_indices, given.other_features, strict=True))
    levels = []
    for train in params.study:
        tests = [(wildcards.category, home, home.test)]
        # the rule lists the files of all places in the order of the study: each takes its own
        for test, files in zip(train["tests"], others, strict=False):
            other, _ = opened.enter_context(
                open_category(*files, *arrays, test["groups_by"], test["category"], params.scorer)
            )
            tests.append((test["title"], other, judging_rows(other, test["groups"])))
        rows = fitted_rows(home, train["groups"])
        levels += across(scorer, home, (train["title"], rows), tests, settings)
    write_study(
        snakemake.output.study,
        "across",
        wildcards,
        params.study,
        settings,
        home.images,
        levels=levels,
        specification=with_code(made, "study", params.code["code"]),
    )
