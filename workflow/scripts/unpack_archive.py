"""Rule `unpack_archive`: unpack a dataset's archive once for all its categories."""

from pathlib import Path

from defectbench.acquisition.sources import unpack_archive
from defectbench.errors import job_log

with job_log(snakemake.log[0]):
    unpack_archive(Path(snakemake.input.archive), Path(snakemake.output.dataset))
