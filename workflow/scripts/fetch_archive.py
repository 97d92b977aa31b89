"""Rule `fetch_archive`: download the archive that holds all categories of a dataset."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.resources import RESOURCES
from defectbench.sources import fetch_archive

with job_log(snakemake.log[0]):
    fetch_archive(
        snakemake.params.source,
        RESOURCES / f"{snakemake.wildcards.dataset}_sources.csv",
        Path(snakemake.output.archive),
    )
