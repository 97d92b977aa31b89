"""Stage page: the decision, figures and pictures of one dataset in one file.

in:  reports/{dataset}.json; metrics.json, scores.tsv, held_out_scores.tsv,
     calibration_scores.tsv, held_out_check.json and cost.json of every category and detector;
     maps.h5 and pixel_metrics.json of those that localize; index.tsv,
     notes.json and images of every category; new_images/ of those that have unlabelled images;
     where the dataset's `studies` says so, its studies; the search that `chosen_by` names; the
     times of its detectors; lists of licences; the templates
out: reports/{dataset}.html; reports/{dataset}_run.json: when, where and by which command
"""


rule page:
    input:
        decision=rules.table.output.decision,
        metrics=of_cells("metrics", "metrics"),
        costs=of_cells("scores", "cost"),
        scores=of_cells("scores", "scores"),
        held_out=of_cells("scores", "held_out"),
        calibration=of_cells("scores", "calibration"),
        held_out_checks=of_cells("scores", "check"),
        maps=of_cells("scores", "maps", only=localizing_cells),
        pixel_metrics=of_cells("pixel_metrics", "metrics", only=localizing_cells),
        index=of_cells("index", "index"),
        notes=of_cells("index", "notes"),
        images=dataset_images,
        new_images=of_cells("new_images", "scored", only=new_image_cells),
        chosen_by=lambda wildcards: config["datasets"][wildcards.dataset].get("chosen_by", []),
        studies=shown_studies,
        studies_report=shown_studies_report,
        speed=measured_speed,
        licences=[str(FACTS / "licences.csv"), str(FACTS / "weights.csv")],
        templates=TEMPLATES,
    output:
        page=report(
            "reports/{dataset}.html",
            caption="../report/page.rst",
            category="Results",
            labels={"dataset": "{dataset}", "shows": "decision, figures, pictures"},
        ),
        # what differs from run to run, so that the page's bytes do not
        record="reports/{dataset}_run.json",
    log:
        "logs/{dataset}/page.log",
    benchmark:
        "benchmarks/{dataset}/page.jsonl"
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=asks(memory.PLOTS, page_memory),
        runtime=grows(15),
    params:
        categories=dataset_categories,
        asked=config["threshold"]["false_positive_rate"],
        source=lookup("datasets/{dataset}/source", within=config),
        exportable=exportable_names,
        settings=page_settings,
        command=page_command,
        code=stage_digest("page"),
    script:
        "../scripts/page.py"
