"""Stage index: every image of a category, checked.

in:  resources/data/{dataset}/{category}/, the official counts of images if there are any
out: results/{dataset}/{category}/index.tsv, notes.json
"""


rule index:
    input:
        category=rules.source.output.category,
        counts=image_counts,
    output:
        index="results/{dataset}/{category}/index.tsv",
        notes="results/{dataset}/{category}/notes.json",
    log:
        "logs/{dataset}/{category}/index.log",
    benchmark:
        "benchmarks/{dataset}/{category}/index.jsonl"
    wildcard_constraints:
        dataset=datasets_that_give("images"),
    conda:
        "../../envs/numeric.yaml"
    threads: threads_side_by_side
    resources:
        mem_mb=asks(memory.NUMPY, decoding_memory, "use fewer --cores, or smaller images"),
        runtime=grows(30),
    params:
        bits=lookup("datasets/{dataset}/bits", within=config, default=None),
        unreadable=lookup("datasets/{dataset}/unreadable", within=config, default="stop"),
        preprocessings=dataset_preprocessings,
        code=stage_digest("index"),
    script:
        "../scripts/index.py"
