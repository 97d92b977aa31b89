"""Stage table: the report of one dataset.

in:  metrics.json of every category and detector, the published figures if there are any
out: reports/{dataset}_table.md, reports/{dataset}_table.csv
"""


rule table:
    input:
        metrics=dataset_metrics,
        published=published_figures,
    output:
        markdown="reports/{dataset}_table.md",
        csv="reports/{dataset}_table.csv",
    log:
        "logs/{dataset}/table.log",
    benchmark:
        "benchmarks/{dataset}/table.tsv"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        categories=lambda wildcards: all_categories(config, wildcards.dataset),
        code=code_digest("tables"),
    script:
        "../scripts/write_table.py"
