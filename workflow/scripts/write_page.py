"""Rule `page`: the page of one dataset."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.images.index import read_index
from defectbench.reports.cells import read_cells
from defectbench.reports.notes import notes_by_category
from defectbench.reports.page import render_page
from defectbench.storage import read_json, write_text

with job_log(snakemake.log[0]):
    given, dataset = snakemake.input, snakemake.wildcards.dataset
    masks = {
        Path(path).parent.name: {row.path: row for row in read_index(path) if row.mask}
        for path in given.index
    }
    links = {
        "table": f"{dataset}_table.md",
        "table as CSV": f"{dataset}_table.csv",
        "details": f"{dataset}_details.md",
        "operating points as CSV": f"{dataset}_operating_points.csv",
        "decision as JSON": f"{dataset}_decision.json",
    }
    page = render_page(
        dataset,
        snakemake.params.categories,
        read_cells(given.metrics, given.pixel_metrics, maps=given.maps),
        read_json(given.decision),
        {Path(path).name: Path(path) for path in given.images},
        masks,
        notes_by_category(Path(path).parent for path in given.metrics),
        links,
    )
    write_text(snakemake.output.page, page)
