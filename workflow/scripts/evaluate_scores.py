"""Rule `metrics`: image-level metrics of one detector on one category."""

import numpy as np

from defectbench.errors import job_log
from defectbench.evaluation.image_metrics import defect_metrics, image_metrics, rank_errors
from defectbench.evaluation.resampling import bootstrap_replicates, percentile_interval
from defectbench.evaluation.thresholds import oracle_threshold, threshold_at_false_positive_rate
from defectbench.storage import open_h5, read_attributes, read_tsv, write_arrays, write_json

WORST = 10

with job_log(snakemake.log[0]):
    rows = read_tsv(snakemake.input.scores)
    held_out = [float(row["anomaly_score"]) for row in read_tsv(snakemake.input.held_out)]
    labels = np.array([int(row["label"]) for row in rows])
    scores = np.array([float(row["anomaly_score"]) for row in rows])
    defects = np.array([row["defect"] for row in rows])
    thresholds = {
        "oracle": oracle_threshold(labels, scores),
        "honest": threshold_at_false_positive_rate(
            np.array(held_out), snakemake.params.false_positive_rate
        ),
    }
    seed, category = snakemake.params.seed, snakemake.wildcards.category
    replicates = bootstrap_replicates(labels, scores, seed, category)
    errors = rank_errors(labels, scores)
    worst = [row for row in np.argsort(-errors, kind="stable")[:WORST] if errors[row] > 0]
    with open_h5(snakemake.input.model) as model:
        provenance = read_attributes(model)["provenance"]
    provenance["code_evaluation"] = snakemake.params.code["code"]
    write_arrays(snakemake.output.replicates, replicates, {"provenance": provenance})
    write_json(
        snakemake.output.metrics,
        {
            **dict(snakemake.wildcards),
            "seed": seed,
            "false_positive_rate": snakemake.params.false_positive_rate,
            "images": {
                "train": len(held_out),
                "test_good": int((labels == 0).sum()),
                "test_defective": int((labels == 1).sum()),
            },
            "metrics": image_metrics(labels, scores, thresholds),
            "intervals": {name: percentile_interval(r) for name, r in replicates.items()},
            "thresholds": thresholds,
            "defects": defect_metrics(labels, scores, defects, thresholds["honest"]),
            "worst": [
                {
                    "path": rows[row]["path"],
                    "anomaly_score": float(scores[row]),
                    "rank_error": float(errors[row]),
                }
                for row in worst
            ],
            "provenance": provenance,
        },
    )
