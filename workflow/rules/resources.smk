"""Stage resources: what the finished jobs of a dataset asked for and what they used.

in:  the table (so that every job has run), benchmarks/{dataset}/
out: reports/{dataset}_resources.md
"""


rule resources:
    input:
        table=rules.table.output.markdown,
    output:
        markdown="reports/{dataset}_resources.md",
    log:
        "logs/{dataset}/resources.log",
    benchmark:
        "benchmarks/resources/{dataset}.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=grows(500),
        runtime=grows(10),
    params:
        benchmarks="benchmarks/{dataset}",
    script:
        "../scripts/write_resources.py"
