"""Stage speed: milliseconds from an image's file to its verdict, one image at a time, nothing beside.

in:  index.tsv and images of a category; model.h5 of each of its detectors; the backbones' weights
out: results/{dataset}/{category}/speed.json: the machine, and milliseconds of each detector
"""


rule speed:
    input:
        index=rules.index.output.index,
        category=rules.source.output.category,
        models=models_of_category,
        weights=weights_of_cells,
    output:
        speed="results/{dataset}/{category}/speed.json",
    log:
        "logs/{dataset}/{category}/speed.log",
    benchmark:
        "benchmarks/{dataset}/{category}/speed.jsonl"
    wildcard_constraints:
        dataset=datasets_that_give("images"),
    conda:
        "../../envs/torch.yaml"
    # all cores, for a figure that another job's work is in says nothing
    threads: workflow.cores or MOST_THREADS
    resources:
        gpu=gpus_per_extraction,
        mem_mb=asks(0, speed_memory),
        runtime=grows(30),
    params:
        detectors=detectors_to_time,
        precision=config["precision"],
        storage=config["storage"],
        bits=lookup("datasets/{dataset}/bits", within=config, default=None),
        code=speed_digest,
    script:
        "../scripts/speed.py"
