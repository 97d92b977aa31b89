"""Rule `index`: list and check the images of one category."""

from pathlib import Path

from defectbench.datasets import category_notes, index_category, write_index
from defectbench.errors import job_log
from defectbench.progress import warn
from defectbench.resources import RESOURCES

with job_log(snakemake.log[0]):
    folder = Path(snakemake.input.category)
    rows = index_category(folder)
    counts = RESOURCES / f"{snakemake.wildcards.dataset}_counts.csv"
    for note in category_notes(folder, rows, counts):
        warn(f"{folder}: {note}")
    write_index(Path(snakemake.output.index), rows)
