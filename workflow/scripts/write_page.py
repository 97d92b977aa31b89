"""Rule `page`: the page of one dataset, its decision as JSON, its operating points as CSV."""

from pathlib import Path

import pandas as pd

from defectbench.errors import job_log
from defectbench.reports.cells import CellResults, read_scores
from defectbench.reports.decisions import decide, point_table
from defectbench.reports.page import render_page
from defectbench.reports.results import paired_differences, tidy_results
from defectbench.storage import atomic_path, read_arrays, read_json, write_json, write_text


def by_cell(files: list[str]) -> dict[str, str]:
    """Files of one kind by their folder, …/category/method/backbone."""
    return {str(Path(file).parent): file for file in files}


with job_log(snakemake.log[0]):
    given, dataset = snakemake.input, snakemake.wildcards.dataset
    metrics = [read_json(path) for path in given.metrics]
    replicates = [read_arrays(path)[0] for path in given.replicates]
    pixels, costs, checks = (by_cell(given.get(kind, [])) for kind in ("pixels", "costs", "checks"))
    pictures = {"/".join(Path(path).parts[-3:]): Path(path) for path in given.get("pictures", [])}
    cells = []
    for path, entry, scores, held_out in zip(
        given.metrics, metrics, given.scores, given.held_out, strict=True
    ):
        folder = Path(path).parent
        own = str(folder)
        cells.append(
            CellResults(
                metrics=entry,
                **read_scores(scores, held_out),
                pixels=read_json(pixels[own]) if own in pixels else {},
                cost=read_json(costs[own]) if own in costs else {},
                pictures=pictures.get("/".join(folder.parts[-3:])),
                warnings=read_json(checks[own])["warnings"] if own in checks else [],
            )
        )
    columns = ["method", "backbone", "category", "metric", "value"]
    nothing = pd.DataFrame(columns=columns).astype({"value": "float64"})
    decision = decide(
        cells,
        tidy_results(metrics, replicates, nothing),
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
    notes = {Path(path).parent.name: read_json(path) for path in given.get("notes", [])}
    folders = {Path(path).name: Path(path) for path in given.get("categories", [])}
    page = render_page(dataset, snakemake.params.categories, cells, decision, folders, notes, links)
    write_json(snakemake.output.decision, decision)
    with atomic_path(snakemake.output.points) as part:
        point_table(decision).to_csv(part, index=False, lineterminator="\n")
    write_text(snakemake.output.page, page)
