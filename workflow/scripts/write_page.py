"""Rule `page`: the page of one dataset, its decision as JSON, its operating points as CSV."""

from collections.abc import Iterable
from pathlib import Path

from defectbench.errors import job_log
from defectbench.images.index import read_index
from defectbench.reports.cells import CellResults, read_scores
from defectbench.reports.decisions import decide, point_table
from defectbench.reports.notes import notes_by_category
from defectbench.reports.page import render_page
from defectbench.reports.published import NOTHING_PUBLISHED, comparable
from defectbench.reports.results import paired_differences, tidy_results
from defectbench.storage import atomic_path, read_arrays, read_json, write_json, write_text


def by_folder(files: Iterable[str]) -> dict[Path, Path]:
    """Files of one kind, by the cell's folder they lie in."""
    return {Path(file).parent: Path(file) for file in files}


with job_log(snakemake.log[0]):
    given, dataset = snakemake.input, snakemake.wildcards.dataset
    metrics = [read_json(path) for path in given.metrics]
    replicates = [read_arrays(path)[0] for path in given.replicates]
    pixels, maps = by_folder(given.pixel_metrics), by_folder(given.maps)
    costs = by_folder(given.get("costs", []))
    cells = [
        CellResults(
            metrics=entry,
            **read_scores(folder / "scores.tsv", folder / "held_out_scores.tsv"),
            pixels=read_json(pixels[folder]) if folder in pixels else {},
            cost=read_json(costs[folder]) if folder in costs else {},
            maps=maps.get(folder),
        )
        for folder, entry in zip(by_folder(given.metrics), metrics, strict=True)
    ]
    decision = decide(
        cells,
        tidy_results(metrics, comparable(NOTHING_PUBLISHED, metrics)[0]),
        paired_differences(metrics, replicates),
        snakemake.params.rates,
        snakemake.params.costs,
    )
    links = {
        "table": f"{dataset}_table.md",
        "table as CSV": f"{dataset}_table.csv",
        "details": f"{dataset}_details.md",
        "operating points as CSV": Path(snakemake.output.points).name,
        "decision as JSON": Path(snakemake.output.decision).name,
    }
    masks = {
        Path(path).parent.name: {row.path: row for row in read_index(path) if row.mask}
        for path in given.index
    }
    page = render_page(
        dataset,
        snakemake.params.categories,
        cells,
        decision,
        {Path(path).name: Path(path) for path in given.images},
        masks,
        notes_by_category(given.notes, given.held_out_checks),
        links,
    )
    write_json(snakemake.output.decision, decision)
    with atomic_path(snakemake.output.points) as part:
        point_table(decision).to_csv(part, index=False, lineterminator="\n")
    write_text(snakemake.output.page, page)
