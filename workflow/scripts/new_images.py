"""Rule `new_images`: a category's unlabelled images, scored by its exported detector."""

from pathlib import Path

from defectbench.deployment.new_images import score_new_images
from defectbench.errors import job_log

with job_log(snakemake.log[0]):
    score_new_images(
        Path(snakemake.input.detector),
        Path(snakemake.params.images["path"]),
        Path(snakemake.output.scored),
        snakemake.threads,
    )
