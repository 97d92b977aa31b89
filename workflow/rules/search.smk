"""Stage search: which set-up finds the defects, within a budget; see docs/search.md.

in:  index.tsv, the images it lists, weights of the backbones to try, the dataset's CSV of groups
out: results/{dataset}/{category}/search/found.json, and beside it trials/, which a search that is
     killed or gets a larger budget goes on from
     reports/{dataset}_best.md, and in reports/{dataset}_best/ a figure and a config of each category
"""


rule best:
    input:
        lambda wildcards: expand(rules.best_report.output, dataset=default_datasets(config)),


rule search:
    input:
        index=rules.index.output.index,
        category=rules.source.output.category,
        weights=lambda wildcards: [backbone_file(name) for name in config["search"]["backbones"]],
        groups=groups_file,
    output:
        found="results/{dataset}/{category}/search/found.json",
    log:
        "logs/{dataset}/{category}/search.log",
    benchmark:
        "benchmarks/{dataset}/{category}/search.jsonl"
    wildcard_constraints:
        dataset=datasets_that_give("images"),
    conda:
        "../../envs/torch.yaml"
    # one after the other: each is timed, and counts its seconds
    threads: workflow.cores or MOST_THREADS
    resources:
        gpu=gpus_per_extraction,
        mem_mb=asks(0, search_memory, SMALLER_SQUARES),
        runtime=grows(720),
    params:
        search=config["search"],
        categories=lambda wildcards: len(chosen_categories(config, wildcards.dataset)),
        rate=config["threshold"]["false_positive_rate"],
        rule=config["threshold"]["rule"],
        folds=config["threshold"]["folds"],
        seed=config["seed"],
        precision=config["precision"],
        storage=config["storage"],
        bits=lookup("datasets/{dataset}/bits", within=config, default=None),
        groups=dataset_groups,
        code=search_digest,
    script:
        "../scripts/search.py"


rule best_report:
    input:
        found=of_cells("search", "found"),
        templates=TEMPLATES,
    output:
        markdown="reports/{dataset}_best.md",
        figures=directory("reports/{dataset}_best"),
    log:
        "logs/{dataset}/best_report.log",
    benchmark:
        "benchmarks/{dataset}/best_report.jsonl"
    localrule: True
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=asks(memory.PLOTS),
        runtime=grows(10),
    params:
        entry=lambda wildcards: config["datasets"][wildcards.dataset],
        asked=config["threshold"]["false_positive_rate"],
        code=stage_digest("best_report"),
    script:
        "../scripts/best_report.py"
