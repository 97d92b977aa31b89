"""Stage features: the only one that needs a GPU, or else many cores.

in:  images/{preprocessing}.h5 and the backbone's weights
out: results/{dataset}/{category}/features/{preprocessing}/{backbone}.h5
"""


rule features:
    input:
        images=rules.images.output.images,
        weights=backbone_weights,
    output:
        features="results/{dataset}/{category}/features/{preprocessing}/{backbone}.h5",
    log:
        "logs/{dataset}/{category}/features/{preprocessing}/{backbone}.log",
    benchmark:
        "benchmarks/{dataset}/{category}/features/{preprocessing}/{backbone}.jsonl"
    conda:
        "../../envs/torch.yaml"
    threads: 8
    resources:
        gpu=gpus_per_extraction,
        mem_mb=grows(8000 if gpus_per_extraction else 4000),
        runtime=grows(10, per_mb=1 / 15, of="images"),
    params:
        taps=feature_taps,
        device=config["device"],
        precision=config["precision"],
        code=stage_digest("extract_features"),
    script:
        "../scripts/extract_features.py"
