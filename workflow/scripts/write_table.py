"""Rule `table`: the report of one dataset, its details, and its tidy CSV twin."""

import pandas as pd

from defectbench.errors import job_log
from defectbench.reports.details import details
from defectbench.reports.results import Results, paired_differences, tidy_results
from defectbench.reports.tables import report
from defectbench.storage import atomic_path, read_arrays, read_json, write_text

with job_log(snakemake.log[0]):
    metrics = [read_json(path) for path in snakemake.input.metrics]
    replicates = [read_arrays(path)[0] for path in snakemake.input.replicates]
    columns = ["method", "backbone", "category", "metric", "value"]
    if snakemake.input.published:
        published = pd.read_csv(snakemake.input.published)
    else:
        published = pd.DataFrame(columns=columns).astype({"value": "float64"})
    results = Results(
        snakemake.wildcards.dataset,
        snakemake.params.categories,
        metrics,
        tidy_results(metrics, replicates, published),
        paired_differences(metrics, replicates),
    )
    write_text(snakemake.output.markdown, report(results))
    write_text(snakemake.output.details, details(results))
    with atomic_path(snakemake.output.csv) as part:
        results.tidy.to_csv(part, index=False, float_format="%.6f", lineterminator="\n")
