"""Rule `weights`: put a backbone's ImageNet weights on disk."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.provenance import FACTS
from defectbench.sources.weights import fetch_weights

with job_log(snakemake.log[0]):
    fetch_weights(
        snakemake.wildcards.backbone,
        FACTS / "weights.csv",
        Path("resources", "downloads"),
        Path(snakemake.output.weights),
    )
