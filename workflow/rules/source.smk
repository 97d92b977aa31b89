"""Stage source: one folder per category in the MVTec layout.

in:  nothing, or the dataset's archive, local or downloaded
out: resources/data/{dataset}/{category}/
"""


rule fetch_archive:
    output:
        archive="resources/archives/{dataset}.tar.xz",
    log:
        "logs/{dataset}/fetch_archive.log",
    benchmark:
        "benchmarks/{dataset}/fetch_archive.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=240,
    params:
        source=lookup("datasets/{dataset}", within=config),
    script:
        "../scripts/fetch_archive.py"


rule unpack_archive:
    input:
        archive=dataset_archive,
    output:
        dataset=directory("resources/unpacked/{dataset}"),
    log:
        "logs/{dataset}/unpack_archive.log",
    benchmark:
        "benchmarks/{dataset}/unpack_archive.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    script:
        "../scripts/unpack_archive.py"


rule source:
    input:
        archive=category_archive,
    output:
        category=directory("resources/data/{dataset}/{category}"),
    log:
        "logs/{dataset}/{category}/source.log",
    benchmark:
        "benchmarks/{dataset}/{category}/source.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        source=category_source,
        fingerprint=category_fingerprint,
    script:
        "../scripts/fetch_category.py"
