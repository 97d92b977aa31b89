"""Stage table: the report of one dataset.

in:  metrics.json and replicates.h5 of every category and detector, published figures if any
out: reports/{dataset}_table.md, _table.csv (the same figures, tidy), _details.md
"""


rule table:
    input:
        metrics=dataset_metrics("metrics"),
        replicates=dataset_metrics("replicates"),
        published=published_figures,
    output:
        markdown="reports/{dataset}_table.md",
        details="reports/{dataset}_details.md",
        csv="reports/{dataset}_table.csv",
    log:
        "logs/{dataset}/table.log",
    benchmark:
        "benchmarks/{dataset}/table.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=grows(1000),
        runtime=grows(10),
    params:
        categories=lambda wildcards: all_categories(config, wildcards.dataset),
        code=code_digest(
            "reports.tables",
            "reports.details",
            "reports.notes",
            "reports.published",
            "reports.results",
        ),
    script:
        "../scripts/write_table.py"
