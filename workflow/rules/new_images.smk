"""Stage new_images: verdicts on a category's unlabelled images, which the config names with `new`.

in:  detector.onnx, the images
out: results/{dataset}/{category}/{method}/{backbone}/new_images/: scores.csv, summary.json,
     pictures/ of the highest scores
"""


rule new_images:
    input:
        detector=rules.detector.output.detector,
    output:
        scored=directory("results/{dataset}/{category}/{method}/{backbone}/new_images"),
    log:
        "logs/{dataset}/{category}/{method}/{backbone}/new_images.log",
    benchmark:
        "benchmarks/{dataset}/{category}/{method}/{backbone}/new_images.jsonl"
    conda:
        "../../envs/export.yaml"
    threads: 2
    resources:
        mem_mb=asks(memory.EXPORT, detector_memory),
        runtime=grows(60),
    params:
        images=new_images,
        code=stage_digest("new_images"),
    script:
        "../scripts/new_images.py"
