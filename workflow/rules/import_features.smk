"""Stage index and features of a category that is given as a file of features.

in:  {path}/{category}.h5, .hdf5 or .npz
out: results/{dataset}/{category}/index.tsv, notes.json, features/given.h5,
     extraction_cost.json (nothing)
"""


rule import_features:
    input:
        file=feature_file,
    output:
        index="results/{dataset}/{category}/index.tsv",
        notes="results/{dataset}/{category}/notes.json",
        features="results/{dataset}/{category}/features/given.h5",
        cost="results/{dataset}/{category}/extraction_cost.json",
    log:
        "logs/{dataset}/{category}/import_features.log",
    benchmark:
        "benchmarks/{dataset}/{category}/import_features.jsonl"
    wildcard_constraints:
        dataset=datasets_that_give("features"),
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=asks(memory.NUMPY, given_memory),
        runtime=grows(10),
    params:
        code=stage_digest("import_features"),
    script:
        "../scripts/import_features.py"
