"""Rule `decision`: which detector, which threshold, what slips through; points, and cost."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.reports.cells import collect_cells
from defectbench.reports.cost_table import cost_markdown
from defectbench.reports.decisions import decide, point_table
from defectbench.reports.earlier import keep_report, variant
from defectbench.reports.published import NOTHING_PUBLISHED, comparable
from defectbench.reports.results import paired_differences, tidy_results
from defectbench.storage import atomic_path, write_json, write_text

with job_log(snakemake.log[0]):
    params, output = snakemake.params, snakemake.output
    found = collect_cells(snakemake.input.metrics, params.categories)
    metrics = [cell.metrics for cell in found.cells]
    decision = decide(
        found.cells,
        tidy_results(metrics, comparable(NOTHING_PUBLISHED, metrics)[0]),
        paired_differences(metrics, found.replicates),
        params.rates,
        params.costs,
    )
    write_json(output.decision, decision)
    with atomic_path(output.points) as part:
        point_table(decision).to_csv(part, index=False, lineterminator="\n")
    write_text(output.cost, cost_markdown(snakemake.wildcards.dataset, decision))
    if found.whole(params.categories):
        kept = Path(output.decision).parent / f"{snakemake.wildcards.dataset}_kept"
        keep_report([output.decision, output.points, output.cost], kept / variant(metrics))
