"""Rule `page`: the page of one dataset."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from defectbench.errors import job_log
from defectbench.evaluation.cells import collect_cells
from defectbench.images.index import read_index
from defectbench.licences import licence_notes
from defectbench.machine import COMMAND, machine_name
from defectbench.reports.page import Made, render_page
from defectbench.reports.results import notes_by_category
from defectbench.reports.search_figure import search_section
from defectbench.reports.speed_text import Speed
from defectbench.reports.verdicts import read_new_images
from defectbench.storage import read_json, write_json, write_text
from defectbench.studies.report import study_section
from defectbench.studies.results import read_studies

with job_log(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    dataset = snakemake.wildcards.dataset
    cells = collect_cells(given)
    indexes = {
        Path(file).parent.name: {row.path: row for row in read_index(file)} for file in given.index
    }
    links = {
        "table": f"{dataset}_table.md",
        "table as CSV": f"{dataset}_table.csv",
        "details": f"{dataset}_details.md",
        "operating points as CSV": f"{dataset}_operating_points.csv",
        "decision as JSON": f"{dataset}.json",
    }
    decision = read_json(given.decision)
    what_if = None
    if given.studies:
        what_if = study_section(read_studies(given.studies))
        links |= {"studies": f"{dataset}_studies.md"}
    search = None
    if given.chosen_by:
        search = search_section(read_json(given.chosen_by), params.asked)
    licences = [
        licence_notes(cell.metrics["specification"]["weights_sha256"], params.source, dataset)
        for cell in cells
    ]
    weights = "; ".join(dict.fromkeys(each["weights"] for each in licences))
    page = render_page(
        dataset,
        params.categories,
        cells,
        decision,
        {Path(folder).name: Path(folder) for folder in given.images},
        indexes,
        notes_by_category(given.notes, given.held_out_checks),
        read_new_images([Path(folder) for folder in given.new_images], decision),
        links,
        Speed([read_json(file) for file in given.speed]),
        Made(
            params.command,
            params.settings,
            {"data": licences[0]["data"], "weights": weights},
            params.exportable,
        ),
        what_if,
        search,
    )
    write_text(snakemake.output.page, page)
    write_json(
        snakemake.output.record,
        {
            "command": os.environ.get(COMMAND, ""),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "folder": str(Path.cwd()),
            "host": platform.node(),
            "machine": machine_name(),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
    )
