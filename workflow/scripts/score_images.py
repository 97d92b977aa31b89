"""Rule `scores`: anomaly score of every test image."""

from defectbench.datasets import read_index
from defectbench.errors import job_log
from defectbench.scorers import scorer_class
from defectbench.storage import open_h5, read_arrays, write_tsv

with job_log(snakemake.log[0]):
    index = read_index(snakemake.input.index)
    test = [row for row in index if row.split == "test"]
    arrays, attributes = read_arrays(snakemake.input.model)
    provenance = attributes["provenance"]
    scorer = scorer_class(provenance["scorer"])(**provenance["parameters"]).from_arrays(arrays)
    with open_h5(snakemake.input.features) as features:
        X = features[provenance["layer"]][[row.split == "test" for row in index]]
    write_tsv(
        snakemake.output.scores,
        ["path", "label", "defect", "anomaly_score"],
        [
            (row.path, row.label, row.defect, repr(float(score)))
            for row, score in zip(test, scorer.anomaly_score(X), strict=True)
        ],
    )
