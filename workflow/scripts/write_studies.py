"""Rule `studies`: the report of a dataset's studies, its plots and its tidy CSV twin."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.reports.studies import plots, read_studies, studies_report, tidy_studies
from defectbench.storage import atomic_path, write_text

with job_log(snakemake.log[0]):
    output = snakemake.output
    studies = read_studies(snakemake.input.studies)
    for name, svg in plots(studies).items():
        write_text(Path(output.plots, name), svg)
    with atomic_path(output.csv) as part:
        tidy_studies(studies).to_csv(part, index=False, lineterminator="\n")
    write_text(output.markdown, studies_report(snakemake.wildcards.dataset, studies))
