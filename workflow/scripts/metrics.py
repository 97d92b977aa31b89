"""Rule `metrics`: image-level metrics of one detector on one category."""

import numpy as np

from defectbench.errors import job_log
from defectbench.evaluation.bootstrap import bootstrap_replicates
from defectbench.evaluation.cautions import cautions, flags, reasons
from defectbench.evaluation.defect_types import defect_metrics
from defectbench.evaluation.image_metrics import image_metrics, worst_ranked
from defectbench.evaluation.intervals import metric_intervals
from defectbench.evaluation.thresholds import oracle_threshold, threshold_at_false_positive_rate
from defectbench.storage import open_h5, read_attributes, read_tsv, write_arrays, write_json

with job_log(snakemake.log[0]):
    rows = read_tsv(snakemake.input.scores)
    held_out_rows = read_tsv(snakemake.input.held_out)
    held_out = np.array([float(row["anomaly_score"]) for row in held_out_rows])
    held_out_groups = np.array([row.get("group", "") for row in held_out_rows], str)
    labels = np.array([int(row["label"]) for row in rows], int)
    scores = np.array([float(row["anomaly_score"]) for row in rows])
    defects = np.array([row["defect"] for row in rows], str)
    groups = np.array([row.get("group", "") for row in rows], str)
    asked = snakemake.params.false_positive_rate
    thresholds = {
        "oracle": oracle_threshold(labels, scores),
        "honest": threshold_at_false_positive_rate(held_out, asked),
    }
    honest = np.inf if thresholds["honest"] is None else thresholds["honest"]
    metrics = image_metrics(labels, scores, thresholds)
    seed, category = snakemake.params.seed, snakemake.wildcards.category
    replicates = bootstrap_replicates(labels, scores, groups, seed, category)
    with open_h5(snakemake.input.model) as model:
        provenance = read_attributes(model)["provenance"]
    provenance["code_evaluation"] = snakemake.params.code["code"]
    write_arrays(snakemake.output.replicates, replicates, {"provenance": provenance})
    write_json(
        snakemake.output.metrics,
        {
            **dict(snakemake.wildcards),
            "seed": seed,
            "false_positive_rate": asked,
            "images": {
                "train": len(held_out),
                "test_good": int((labels == 0).sum()),
                "test_defective": int((labels == 1).sum()),
            },
            "held_out_images": len(held_out),
            "thresholds": thresholds,
            "metrics": metrics,
            "intervals": metric_intervals(metrics, replicates, labels, scores >= honest, groups),
            "reasons": reasons(metrics, labels, thresholds),
            "cautions": cautions(labels, groups, held_out_groups, asked),
            "flags": flags(metrics, scores >= honest, labels, groups, asked),
            "defects": defect_metrics(
                labels, scores, defects, groups, thresholds["honest"], seed, category
            ),
            "worst": [
                {
                    "path": rows[row]["path"],
                    "anomaly_score": float(scores[row]),
                    "rank_error": float(error),
                }
                for row, error in worst_ranked(labels, scores)
            ],
            "provenance": provenance,
        },
    )
