"""Rule `source`: put one category on disk, in the MVTec layout."""

from pathlib import Path

from defectbench.acquisition.sources import fetch_category
from defectbench.errors import job_log
from defectbench.facts import FACTS

with job_log(snakemake.log[0]):
    fetch_category(
        snakemake.wildcards.category,
        snakemake.params.source,
        FACTS / f"{snakemake.wildcards.dataset}_sources.csv",
        Path(snakemake.output.category),
    )
