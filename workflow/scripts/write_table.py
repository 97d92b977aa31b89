"""Rule `table`: the decision on one dataset, its report, details, cost, and tidy CSV twins."""

from pathlib import Path

import pandas as pd

from defectbench.errors import job_log
from defectbench.reports.cells import collect_cells
from defectbench.reports.cost_table import cost_markdown
from defectbench.reports.decision_words import decision_markdown
from defectbench.reports.decisions import decide, point_table
from defectbench.reports.details import details
from defectbench.reports.earlier import keep_report, kept_reports, variant
from defectbench.reports.notes import notes_by_category
from defectbench.reports.published import (
    NOTHING_PUBLISHED,
    comparable,
    read_publication,
    remarks,
)
from defectbench.reports.results import Results, paired_differences, tidy_results
from defectbench.reports.tables import report
from defectbench.storage import atomic_path, write_json, write_text


def write_csv(file: str, table: pd.DataFrame, **how: str) -> None:
    """Write a table whole or not at all."""
    with atomic_path(file) as part:
        table.to_csv(part, index=False, lineterminator="\n", **how)


with job_log(snakemake.log[0]):
    inputs, output, params = snakemake.input, snakemake.output, snakemake.params
    found = collect_cells(inputs.metrics, params.categories)
    metrics = [cell.metrics for cell in found.cells]
    own = variant(metrics)
    whole = found.whole(params.categories)
    kept = Path(output.markdown).parent / f"{snakemake.wildcards.dataset}_kept"
    publication = read_publication(*inputs.published) if inputs.published else NOTHING_PUBLISHED
    figures, incomparable = comparable(publication, metrics)
    results = Results(
        snakemake.wildcards.dataset,
        params.categories,
        metrics,
        tidy_results(metrics, figures),
        paired_differences(metrics, found.replicates),
        incomparable,
        notes_by_category(found.folders),
        remarks(publication, figures),
        [*found.coverage, *kept_reports(kept, own if whole else "")],
    )
    decision = decide(found.cells, results.tidy, results.differences, params.rates, params.costs)
    write_json(output.decision, decision)
    write_csv(output.points, point_table(decision))
    write_text(output.cost, cost_markdown(snakemake.wildcards.dataset, decision))
    write_text(output.markdown, report(results, decision_markdown(decision)))
    write_text(output.details, details(results))
    # six digits: the rest is rounding, which differs from one processor to another
    write_csv(output.csv, results.tidy, float_format="%.6g")
    if whole:
        keep_report(output, kept / own)
