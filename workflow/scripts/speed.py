"""Rule `speed`: milliseconds from file to verdict of each of a category's detectors, alone."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.features.devices import Machine
from defectbench.garbage import exiting_at_once
from defectbench.images.index import read_index
from defectbench.machine import OtherPrograms, machine_name
from defectbench.progress import say
from defectbench.records import read_specified
from defectbench.speed import MOST_THREADS, milliseconds
from defectbench.storage import write_json

with exiting_at_once(), job_log(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    threads = min(snakemake.threads, MOST_THREADS)
    # not a parameter: where features are computed does not make them others
    machine = Machine(snakemake.config["device"], params.precision, threads, params.storage)
    images, index = Path(given.category), read_index(given.index)
    say("/".join(snakemake.wildcards), "times its detectors, one image at a time")
    found, device, others = {}, "", OtherPrograms()
    files = zip(given.models, given.weights, strict=True)
    for (name, detector), (model, weights) in zip(params.detectors.items(), files, strict=True):
        arrays, _ = read_specified(model)
        found[name], device = milliseconds(
            detector, arrays, images, index, weights, machine, params.bits
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
