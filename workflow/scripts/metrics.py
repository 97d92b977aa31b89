"""Rule `metrics`: image-level metrics of one detector on one category."""

import numpy as np

from defectbench.errors import job_log
from defectbench.evaluation.bootstrap import bootstrap_replicates
from defectbench.evaluation.cautions import cautions, flags, reasons
from defectbench.evaluation.defect_types import defect_metrics
from defectbench.evaluation.image_metrics import image_metrics, worst_ranked
from defectbench.evaluation.intervals import metric_intervals
from defectbench.evaluation.thresholds import oracle_threshold, threshold_at_false_positive_rate
from defectbench.records import read_held_out, read_model, read_scores, with_code, write_metrics
from defectbench.storage import write_arrays

with job_log(snakemake.log[0]):
    test, held_out = read_scores(snakemake.input.scores), read_held_out(snakemake.input.held_out)
    labels, scores, groups = test.labels, test.scores, test.groups
    asked = snakemake.params.false_positive_rate
    thresholds = {
        "oracle": oracle_threshold(labels, scores),
        "honest": threshold_at_false_positive_rate(held_out.scores, asked),
    }
    honest = np.inf if thresholds["honest"] is None else thresholds["honest"]
    metrics = image_metrics(labels, scores, thresholds)
    seed, category = snakemake.params.seed, snakemake.wildcards.category
    replicates = bootstrap_replicates(labels, scores, groups, seed, category)
    _, specification = read_model(snakemake.input.model)
    specification = with_code(specification, "evaluation", snakemake.params.code["code"])
    write_arrays(snakemake.output.replicates, replicates, {"specification": specification})
    why = reasons(metrics, labels, thresholds)
    write_metrics(
        snakemake.output.metrics,
        {
            **dict(snakemake.wildcards),
            "seed": seed,
            "false_positive_rate": asked,
            "images": {
                "train": len(held_out.paths),
                "test_good": int((labels == 0).sum()),
                "test_defective": int((labels == 1).sum()),
            },
            "held_out_images": len(held_out.paths),
            "thresholds": thresholds,
            "metrics": metrics,
            "intervals": metric_intervals(metrics, replicates, labels, scores >= honest, groups),
            "reasons": why,
            "cautions": list(cautions(test, held_out, asked).values()),
            "flags": flags(test, held_out, thresholds["honest"], asked, metrics, why),
            "defects": defect_metrics(
                labels, scores, test.defects, groups, thresholds["honest"], seed, category
            ),
            "worst": [
                {
                    "path": test.paths[row],
                    "anomaly_score": float(scores[row]),
                    "rank_error": float(error),
                }
                for row, error in worst_ranked(labels, scores)
            ],
            "specification": specification,
        },
    )
