"""Rule `index`: list and check the images of one category."""

from pathlib import Path

from defectbench.datasets import index_category, write_index
from defectbench.errors import job_log

with job_log(snakemake.log[0]):
    rows = index_category(Path(snakemake.input.category))
    write_index(Path(snakemake.output.index), rows)
