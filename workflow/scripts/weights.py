"""Rule `weights`: put a backbone's ImageNet weights on disk."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.features.weights import fetch_weights

with job_log(snakemake.log[0]):
    fetch_weights(snakemake.wildcards.backbone, Path(snakemake.output.weights))
