"""Stage weights: ImageNet weights of a backbone, unless the config names a local file.

in:  nothing
out: resources/weights/{backbone}.pth
"""


rule weights:
    output:
        weights="resources/weights/{backbone}.pth",
    log:
        "logs/weights/{backbone}.log",
    benchmark:
        "benchmarks/weights/{backbone}.jsonl"
    localrule: True
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=asks(2 * memory.PYTORCH),
        runtime=60,
    params:
        code=weights_digest,
    script:
        "../scripts/weights.py"
