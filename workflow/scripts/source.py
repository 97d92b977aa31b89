"""Rule `source`: put one category on disk, in the MVTec layout."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.sources import dataset_source
from defectbench.sources.reviewed import Reviewed

with job_log(snakemake.log[0]):
    # the config and not parameters: most of a dataset's entry does not change the images
    source = dataset_source(snakemake.wildcards.dataset, snakemake.config)
    output = Path(snakemake.output.category)
    calibration = snakemake.params.calibration
    folder = Path(calibration["path"]) if calibration else None
    reviewed = [
        Reviewed(place, Path(file), digest) for place, file, digest in snakemake.params.reviewed
    ]
    source.put(snakemake.wildcards.category, output, snakemake.params.origin, folder, reviewed)
