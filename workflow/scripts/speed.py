"""Rule `speed`: milliseconds from file to verdict of each of a dataset's detectors, alone."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.features.devices import Machine
from defectbench.garbage import exit_at_once
from defectbench.images.index import read_index
from defectbench.machine import OtherPrograms, machine_name
from defectbench.progress import say
from defectbench.records import read_specified
from defectbench.speed import MOST_THREADS, milliseconds
from defectbench.storage import write_json

with job_log(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    threads = min(snakemake.threads, MOST_THREADS)
    # not a parameter: where features are computed does not make them others
    machine = Machine(snakemake.config["device"], params.precision, threads, params.storage)
    indices = {Path(file).parent.name: read_index(file) for file in given.index}
    folders = {Path(folder).name: Path(folder) for folder in given.images}
    say(snakemake.wildcards.dataset, "times its detectors, one image at a time")
    found, device, others = {}, "", OtherPrograms()
    cells = zip(params.detectors, given.models, given.weights, strict=True)
    for detector, model, weights in cells:
        category = detector["category"]
        found[detector["cell"]], device = milliseconds(
            detector,
            read_specified(model)[0],
            folders[category],
            indices[category],
            weights,
            machine,
            params.bits,
        )
    write_json(
        snakemake.output.speed,
        {
            "machine": machine_name(),
            "device": device,
            "threads": threads,
            "taken_by_others": others.share(),
            "milliseconds": found,
        },
    )

exit_at_once()
