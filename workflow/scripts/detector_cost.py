"""Rule `detector_cost`: time and memory of an exported detector, loaded as its users do."""

from pathlib import Path

from defectbench.deployment.detector import Detector
from defectbench.detector_cost import measured_cost
from defectbench.errors import job_log
from defectbench.images.index import read_index
from defectbench.speed import MOST_THREADS
from defectbench.storage import write_json

with job_log(snakemake.log[0]):
    given, names = snakemake.input, dict(snakemake.wildcards)
    test = [row for row in read_index(given.index) if row.split == "test"]
    files = [Path(given.category, row.file) for row in test]
    threads = min(snakemake.threads, MOST_THREADS)
    detector = Detector(given.detector, threads)
    detector.close()
    cost = measured_cost(detector.path, files, threads)
    write_json(snakemake.output.cost, {**names, **cost, "proof": detector.metadata["proof"]})
