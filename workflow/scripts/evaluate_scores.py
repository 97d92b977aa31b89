"""Rule `metrics`: image-level metrics of one detector on one category."""

import numpy as np

from defectbench.datasets import read_index
from defectbench.errors import job_log
from defectbench.evaluation import average_precision, confusion_at, image_auroc, oracle_threshold
from defectbench.storage import open_h5, read_attributes, read_tsv, write_json

with job_log(snakemake.log[0]):
    rows = read_tsv(snakemake.input.scores)
    labels = np.array([int(row["label"]) for row in rows])
    scores = np.array([float(row["anomaly_score"]) for row in rows])
    threshold = oracle_threshold(labels, scores)
    confusion = confusion_at(labels, scores, threshold)
    with open_h5(snakemake.input.model) as model:
        provenance = read_attributes(model)["provenance"]
    train = sum(row.split == "train" for row in read_index(snakemake.input.index))
    write_json(
        snakemake.output.metrics,
        {
            **dict(snakemake.wildcards),
            "seed": snakemake.params.seed,
            "images": {
                "train": train,
                "test_good": int((labels == 0).sum()),
                "test_defective": int((labels == 1).sum()),
            },
            "metrics": {
                "image_auroc": image_auroc(labels, scores),
                "aupr": average_precision(labels, scores),
                "f1": confusion.f1,
                "balanced_accuracy": confusion.balanced_accuracy,
                **confusion._asdict(),
            },
            "oracle_threshold": threshold,
            "provenance": provenance | {"code_evaluation": snakemake.params.code},
        },
    )
