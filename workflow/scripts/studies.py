"""Rule `studies`: the report of a dataset's studies, its plots and its tidy CSV twin."""

from pathlib import Path

from defectbench.atomic import atomic_path
from defectbench.errors import InputError, job_log
from defectbench.storage import write_text
from defectbench.studies.report import plots, studies_report
from defectbench.studies.results import read_studies
from defectbench.studies.tables import tidy_studies

with job_log(snakemake.log[0]):
    output, dataset = snakemake.output, snakemake.wildcards.dataset
    studies = read_studies(snakemake.input.studies)
    if not studies:
        raise InputError(f"config: studies: none of them is of {dataset}; name one that is")
    Path(output.plots).mkdir(exist_ok=True)  # not every study has a plot
    for name, svg in plots(studies).items():
        write_text(Path(output.plots, name), svg)
    with atomic_path(output.csv) as part:
        tidy_studies(studies).to_csv(part, index=False, lineterminator="\n")
    report = studies_report(dataset, snakemake.params.categories, studies)
    write_text(output.markdown, report)
