"""Rule `source`: put one category on disk, in the MVTec layout."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.resources import RESOURCES
from defectbench.sources import fetch_category

with job_log(snakemake.log[0]):
    fetch_category(
        snakemake.wildcards.category,
        snakemake.params.source,
        RESOURCES / f"{snakemake.wildcards.dataset}_sources.csv",
        Path(snakemake.output.category),
    )
