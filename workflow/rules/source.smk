"""Stage source: one folder per category in the MVTec layout.

in:  nothing, or the dataset's local archive
out: resources/data/{dataset}/{category}/
"""


rule unpack_archive:
    input:
        archive=lookup("datasets/{dataset}/path", within=config),
    output:
        dataset=directory("resources/unpacked/{dataset}"),
    log:
        "logs/{dataset}/unpack_archive.log",
    benchmark:
        "benchmarks/{dataset}/unpack_archive.tsv"
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
        "benchmarks/{dataset}/{category}/source.tsv"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        source=category_source,
        fingerprint=category_fingerprint,
        sources_csv=str(RESOURCES / "{dataset}_sources.csv"),
    script:
        "../scripts/fetch_category.py"
