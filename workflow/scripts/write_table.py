"""Rule `table`: the report of one dataset, its details, and its tidy CSV twin."""

from defectbench.errors import job_log
from defectbench.reports.details import details
from defectbench.reports.notes import notes_by_category
from defectbench.reports.published import NOTHING_PUBLISHED, comparable, read_publication
from defectbench.reports.results import Results, paired_differences, tidy_results
from defectbench.reports.tables import report
from defectbench.storage import atomic_path, read_arrays, read_json, write_text

with job_log(snakemake.log[0]):
    inputs = snakemake.input
    metrics = [read_json(path) for path in inputs.metrics]
    replicates = [read_arrays(path)[0] for path in inputs.replicates]
    publication = read_publication(*inputs.published) if inputs.published else NOTHING_PUBLISHED
    figures, incomparable = comparable(publication, metrics)
    results = Results(
        snakemake.wildcards.dataset,
        snakemake.params.categories,
        metrics,
        tidy_results(metrics, figures),
        paired_differences(metrics, replicates),
        incomparable,
        notes_by_category(inputs.get("notes", []), inputs.get("held_out_checks", [])),
    )
    write_text(snakemake.output.markdown, report(results))
    write_text(snakemake.output.details, details(results))
    with atomic_path(snakemake.output.csv) as part:
        results.tidy.to_csv(part, index=False, lineterminator="\n")
