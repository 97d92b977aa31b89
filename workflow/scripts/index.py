"""Rule `index`: list and check the images of one category."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.images.groups import OWN, assign_groups
from defectbench.images.index import write_index
from defectbench.images.indexing import category_notes, index_category, write_notes
from defectbench.images.layout import users_folder
from defectbench.progress import warn

with job_log(snakemake.log[0]):
    folder = Path(snakemake.input.category)
    rows, notes = index_category(folder, bits=snakemake.params.bits)
    if (folder / OWN).is_file():
        rows = assign_groups(rows, {"csv": str(folder / OWN)}, folder.name)
    notes += category_notes(folder, rows, snakemake.input.get("counts"))
    for note in notes:
        warn(f"{users_folder(folder)}: {note}")
    write_notes(Path(snakemake.output.notes), notes)
    write_index(Path(snakemake.output.index), rows)
