"""Rule `table`: the report of one dataset, and its tidy CSV twin."""

import pandas as pd

from defectbench.errors import job_log
from defectbench.storage import atomic_path, read_json, write_text
from defectbench.tables import markdown_report, tidy_results

with job_log(snakemake.log[0]):
    metrics = [read_json(path) for path in snakemake.input.metrics]
    columns = ["method", "backbone", "category", "metric", "value"]
    if snakemake.input.published:
        published = pd.read_csv(snakemake.input.published)
    else:
        published = pd.DataFrame({name: [] for name in columns})
    results = tidy_results(metrics, published)
    dataset = snakemake.wildcards.dataset
    report = markdown_report(dataset, snakemake.params.categories, metrics, results)
    write_text(snakemake.output.markdown, report)
    with atomic_path(snakemake.output.csv) as part:
        results.to_csv(part, index=False, float_format="%.6f", lineterminator="\n")
