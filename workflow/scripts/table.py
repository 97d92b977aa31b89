"""Rule `table`: the decision on one dataset, its report, details, cost, and tidy CSV twins."""

from defectbench.errors import job_log
from defectbench.evaluation.averages import paired_differences, tidy_results
from defectbench.evaluation.cells import collect_cells
from defectbench.evaluation.decision import decide
from defectbench.reports.costs import cost_markdown, with_costs
from defectbench.reports.dataset_json import dataset_json
from defectbench.reports.decision_text import decision_markdown
from defectbench.reports.details import details
from defectbench.reports.point_table import point_table
from defectbench.reports.published import comparable, read_publication, remarks
from defectbench.reports.results import Results, notes_by_category, with_shares
from defectbench.reports.speed_text import Speed
from defectbench.reports.tables import report
from defectbench.storage import read_json, write_json, write_text

with job_log(snakemake.log[0]):
    given, output, params = snakemake.input, snakemake.output, snakemake.params
    dataset = snakemake.wildcards.dataset
    cells = collect_cells(given)
    metrics = [with_shares(cell) for cell in cells]
    publication = read_publication(given.published)
    published, incomparable = comparable(publication, metrics)
    results = Results(
        dataset,
        params.categories,
        metrics,
        tidy_results(metrics, published),
        paired_differences(cells),
        incomparable,
        notes_by_category(given.notes, given.held_out_checks),
        remarks(publication, published),
    )
    decision = decide(
        params.categories,
        cells,
        results.tidy,
        results.differences,
        params.rates,
        params.costs,
        params.defective_share,
        params.limits,
    )
    write_json(output.decision, dataset_json(dataset, decision))
    write_text(output.points, point_table(decision, cells).to_csv(index=False, lineterminator="\n"))
    speed = Speed([read_json(file) for file in given.speed])
    costs = with_costs(decision, cells, speed)
    write_text(output.cost, cost_markdown(dataset, results.scope, costs, speed))
    write_text(output.markdown, report(results, decision_markdown(decision)))
    write_text(output.details, details(results))
    # six digits: the rest is rounding, which differs from one processor to another
    figures = results.tidy.to_csv(index=False, lineterminator="\n", float_format="%.6g")
    write_text(output.csv, figures)
