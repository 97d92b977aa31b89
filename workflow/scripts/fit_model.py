"""Rule `model`: fit a scorer on the features of the training images."""

from defectbench.errors import job_log
from defectbench.images.index import read_index
from defectbench.scorers import scorer_class
from defectbench.storage import open_h5, read_attributes, write_arrays

with job_log(snakemake.log[0]):
    train = [row.split == "train" for row in read_index(snakemake.input.index)]
    with open_h5(snakemake.input.features) as features:
        provenance = read_attributes(features)["provenance"]
        X = features[snakemake.params.tap][train].reshape(sum(train), -1)
    scorer = scorer_class(snakemake.params.scorer)(**snakemake.params.parameters).fit(X)
    provenance |= {
        "layer": snakemake.params.tap,
        "scorer": snakemake.params.scorer,
        "parameters": snakemake.params.parameters,
        "code_scorer": snakemake.params.code["code"],
    }
    write_arrays(snakemake.output.model, scorer.to_arrays(), {"provenance": provenance})
