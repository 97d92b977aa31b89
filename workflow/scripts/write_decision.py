"""Rule `decision`: which detector, which threshold, what slips through; and the points as CSV."""

from defectbench.errors import job_log
from defectbench.reports.cells import read_cells
from defectbench.reports.decisions import decide, point_table
from defectbench.reports.published import NOTHING_PUBLISHED, comparable
from defectbench.reports.results import paired_differences, tidy_results
from defectbench.storage import atomic_path, read_arrays, write_json

with job_log(snakemake.log[0]):
    given = snakemake.input
    cells = read_cells(given.metrics, given.pixel_metrics, given.get("costs", []))
    metrics = [cell.metrics for cell in cells]
    replicates = [read_arrays(path)[0] for path in given.replicates]
    decision = decide(
        cells,
        tidy_results(metrics, comparable(NOTHING_PUBLISHED, metrics)[0]),
        paired_differences(metrics, replicates),
        snakemake.params.rates,
        snakemake.params.costs,
    )
    write_json(snakemake.output.decision, decision)
    with atomic_path(snakemake.output.points) as part:
        point_table(decision).to_csv(part, index=False, lineterminator="\n")
