"""Rule `index`: list and check the images of one category."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.images.index import write_index
from defectbench.images.indexing import examine_category
from defectbench.images.layout import users_folder
from defectbench.progress import warn
from defectbench.storage import write_json

with job_log(snakemake.log[0]):
    folder = Path(snakemake.input.category)
    rows, notes = examine_category(
        folder,
        snakemake.params.bits,
        snakemake.params.unreadable == "skip",
        snakemake.input.get("counts"),
        snakemake.params.preprocessings,
    )
    for note in notes:
        warn(f"{users_folder(folder)}: {note}")
    write_json(snakemake.output.notes, notes)
    write_index(Path(snakemake.output.index), rows)
