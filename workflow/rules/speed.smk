"""Stage speed: milliseconds from an image's file to its verdict, one image at a time, nothing beside.

in:  index.tsv and images of every category; model.h5 of every category and detector; the
     backbones' weights
out: results/{dataset}/speed.json: the machine, and milliseconds by detector and category
"""


rule speed:
    input:
        index=of_cells("index", "index"),
        images=dataset_images,
        models=of_cells("scores", "model"),
        weights=weights_of_cells,
    output:
        speed="results/{dataset}/speed.json",
    log:
        "logs/{dataset}/speed.log",
    benchmark:
        "benchmarks/{dataset}/speed.jsonl"
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
