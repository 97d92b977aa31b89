"""Stage features: the only one that needs a GPU, or else many cores.

in:  index.tsv, the images it lists and the weights of every backbone that the methods need
out: results/{dataset}/{category}/features.h5, a group per preprocessing and backbone;
     extraction_cost.json, milliseconds per image of each
     (and a second name of it, .features.kept.h5, from which a later job takes what has not changed;
     while it is made, .features.blocks/, from which a later job goes on)
"""


rule features:
    input:
        index=rules.index.output.index,
        category=rules.source.output.category,
        weights=category_weights,
    output:
        features="results/{dataset}/{category}/features.h5",
        cost="results/{dataset}/{category}/extraction_cost.json",
    log:
        "logs/{dataset}/{category}/features.log",
    benchmark:
        "benchmarks/{dataset}/{category}/features.jsonl"
    wildcard_constraints:
        dataset=datasets_that_give("images"),
    conda:
        "../../envs/torch.yaml"
    threads: threads_side_by_side
    resources:
        gpu=gpus_per_extraction,
        mem_mb=asks(0, extraction_memory, SMALLER_SQUARES),
        runtime=grows(120),
    params:
        passes=extraction_passes,
        precision=config["precision"],
        storage=config["storage"],
        bits=lookup("datasets/{dataset}/bits", within=config, default=None),
        code=stage_digest("features"),
    script:
        "../scripts/features.py"
