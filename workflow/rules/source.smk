"""Stage source: one folder per category in the MVTec layout.

in:  nothing, or what the config names: a folder or an archive, a folder of calibration
     images, a review of scored images
out: resources/data/{dataset}/{category}/, links to the images
"""


rule source:
    output:
        category=directory("resources/data/{dataset}/{category}"),
    log:
        "logs/{dataset}/{category}/source.log",
    benchmark:
        "benchmarks/{dataset}/{category}/source.jsonl"
    wildcard_constraints:
        dataset=datasets_that_give("images"),
    localrule: True
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=asks(memory.NUMPY),
        runtime=240,
    params:
        origin=category_origin,
        calibration=calibration_images,
        reviewed=reviewed_params,
        code=source_digest,
    script:
        "../scripts/source.py"
