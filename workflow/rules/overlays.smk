"""Stage pictures: image, anomaly map and overlay of one detector on one category.

in:  index.tsv, the images and masks it lists, maps.h5, scores.tsv, metrics.json, pixel_metrics.json
out: reports/{dataset}_maps/{category}/{method}/{backbone}/: the telling images, and index.json;
     results/{dataset}/{category}/{method}/{backbone}/overlays/: all test images, on request
"""


rule maps:
    input:
        index=rules.index.output.index,
        category=rules.source.output.category,
        maps=rules.pixel_metrics.input.maps,
        scores=rules.scores.output.scores,
        metrics=rules.metrics.output.metrics,
        pixel_metrics=rules.pixel_metrics.output.metrics,
    output:
        pictures=report(
            directory("reports/{dataset}_maps/{category}/{method}/{backbone}"),
            patterns=["{picture}.webp"],
            caption="../report/pictures.rst",
            category="Pictures",
            subcategory="{dataset} {category}",
            labels={"detector": "{method} {backbone}", "picture": "{picture}"},
        ),
    log:
        "logs/{dataset}/{category}/{method}/{backbone}/maps.log",
    benchmark:
        "benchmarks/{dataset}/{category}/{method}/{backbone}/maps.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=asks(memory.PLOTS, picture_memory),
        runtime=grows(10),
    params:
        every_image=False,
        code=stage_digest("maps"),
    script:
        "../scripts/maps.py"


# not `use rule maps as overlays`: Snakemake could not import that under a name of its user's
rule overlays:
    input:
        index=rules.index.output.index,
        category=rules.source.output.category,
        maps=rules.pixel_metrics.input.maps,
        scores=rules.scores.output.scores,
        metrics=rules.metrics.output.metrics,
        pixel_metrics=rules.pixel_metrics.output.metrics,
    output:
        pictures=directory("results/{dataset}/{category}/{method}/{backbone}/overlays"),
    log:
        "logs/{dataset}/{category}/{method}/{backbone}/overlays.log",
    benchmark:
        "benchmarks/{dataset}/{category}/{method}/{backbone}/overlays.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=asks(memory.PLOTS, picture_memory),
        runtime=grows(10),
    params:
        every_image=True,
        code=stage_digest("maps"),
    script:
        "../scripts/maps.py"
