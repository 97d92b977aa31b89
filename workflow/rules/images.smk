"""Stage images: a category decoded and resized once per preprocessing; deleted after its last use.

in:  index.tsv and the images it lists
out: results/{dataset}/{category}/images/{preprocessing}.h5
"""


rule images:
    input:
        index=rules.index.output.index,
        category=rules.source.output.category,
    output:
        images=temp("results/{dataset}/{category}/images/{preprocessing}.h5"),
    log:
        "logs/{dataset}/{category}/images/{preprocessing}.log",
    benchmark:
        "benchmarks/{dataset}/{category}/images/{preprocessing}.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 4
    resources:
        mem_mb=grows(2000),
        runtime=grows(60),
    params:
        preprocessing=lookup("preprocessings/{preprocessing}", within=config),
        code=stage_digest("decode_images"),
    script:
        "../scripts/decode_images.py"
