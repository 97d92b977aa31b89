"""Rule `page`: the page of one dataset."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.images.index import read_index
from defectbench.reports.cells import collect_cells
from defectbench.reports.earlier import keep_report, variant
from defectbench.reports.new_images import read_new_images
from defectbench.reports.notes import notes_by_category
from defectbench.reports.page import render_page
from defectbench.reports.studies import read_studies
from defectbench.reports.study_section import study_section
from defectbench.storage import read_json, write_text

with job_log(snakemake.log[0]):
    given, dataset = snakemake.input, snakemake.wildcards.dataset
    categories, output = snakemake.params.categories, snakemake.output
    found = collect_cells(given.metrics, categories)
    # what this run did not make may lie beside it, from an earlier one
    images = {
        cell.category: Path(given.images[0]).parent / cell.category
        for cell in found.cells
        if given.images
    }
    indices = {folder.parents[1] / "index.tsv" for folder in found.folders}
    masks = {
        index.parent.name: {row.path: row for row in read_index(index) if row.mask}
        for index in indices
        if index.is_file()
    }
    links = {
        "table": f"{dataset}_table.md",
        "table as CSV": f"{dataset}_table.csv",
        "details": f"{dataset}_details.md",
        "operating points as CSV": f"{dataset}_operating_points.csv",
        "decision as JSON": f"{dataset}_decision.json",
    }
    decision = read_json(given.decision)
    what_if = None
    if given.studies:
        what_if = study_section(dataset, read_studies(given.studies))
        links |= {"studies": f"{dataset}_studies.md"}
    page = render_page(
        dataset,
        categories,
        found.cells,
        decision,
        images,
        masks,
        notes_by_category(found.folders),
        read_new_images([Path(folder) for folder in given.new_images], decision),
        found.coverage,
        links,
        what_if,
    )
    write_text(output.page, page)
    if found.whole(categories):
        kept = Path(output.page).parent / f"{dataset}_kept"
        keep_report([output.page], kept / variant([cell.metrics for cell in found.cells]))
