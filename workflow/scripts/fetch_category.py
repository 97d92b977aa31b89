"""Rule `source`: put one category on disk, in the MVTec layout."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.sources import fetch_category

with job_log(snakemake.log[0]):
    fetch_category(
        snakemake.wildcards.category,
        snakemake.params.source,
        Path(snakemake.params.sources_csv),
        Path(snakemake.output.category),
    )
