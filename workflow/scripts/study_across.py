"""Rule `study_across`: a detector and its threshold on test images of other places."""

from defectbench.errors import job_log
from defectbench.scorers import scorer_class
from defectbench.storage import write_json
from defectbench.studies.across import across, fitted_rows, judging_rows
from defectbench.studies.trial import Settings, read_category

with job_log(snakemake.log[0]):
    given, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    where = (params.group, params.layers)
    home, provenance = read_category(
        given.index, given.features, *where, params.groups, wildcards.category
    )
    settings = Settings(params.false_positive_rate, params.folds, params.seed, params.trimmed)
    scorer = scorer_class(params.scorer)(**params.parameters)
    others = iter(zip(given.indices, given.judged, strict=True))
    levels = []
    for train in params.study:
        tests = [(wildcards.category, home, home.test)]
        for test, files in zip(train["tests"], others, strict=False):
            judged, _ = read_category(*files, *where, test["groups_by"], test["category"])
            tests.append((test["title"], judged, judging_rows(judged, test["groups"])))
        rows = fitted_rows(home, train["groups"])
        levels += across(scorer, home, (train["title"], rows), tests, settings)
    write_json(
        snakemake.output.study,
        {
            **dict(wildcards),
            "study": "across",
            "settings": params.study,
            **settings._asdict(),
            "images": home.images,
            "levels": levels,
            "provenance": provenance | {"code_study": params.code["code"]},
        },
    )
