"""Stage usage: what the finished jobs of a dataset asked for and what they used.

in:  the table (so that every job has run), benchmarks/{dataset}/, logs/{dataset}/
out: reports/{dataset}_usage.md
"""


rule usage:
    input:
        table=rules.table.output.markdown,
    output:
        markdown="reports/{dataset}_usage.md",
    log:
        "logs/{dataset}/usage.log",
    benchmark:
        "benchmarks/usage/{dataset}.jsonl"
    localrule: True
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=asks(memory.NUMPY),
        runtime=grows(10),
    params:
        benchmarks="benchmarks/{dataset}",
        logs="logs/{dataset}",
        code=stage_digest("usage"),
    script:
        "../scripts/usage.py"
