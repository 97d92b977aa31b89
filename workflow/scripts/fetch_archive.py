"""Rule `fetch_archive`: download the archive that holds all categories of a dataset."""

from pathlib import Path

from defectbench.acquisition.sources import fetch_archive
from defectbench.errors import job_log
from defectbench.facts import FACTS

with job_log(snakemake.log[0]):
    fetch_archive(
        snakemake.params.source,
        FACTS / f"{snakemake.wildcards.dataset}_sources.csv",
        Path(snakemake.output.archive),
    )
