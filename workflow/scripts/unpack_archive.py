"""Rule `unpack_archive`: unpack a dataset's archive once for all its categories."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.sources import unpack_archive

with job_log(snakemake.log[0]):
    unpack_archive(Path(snakemake.input.archive), Path(snakemake.output.dataset))
