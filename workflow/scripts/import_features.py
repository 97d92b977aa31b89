"""Rule `import_features`: take one category's features from a file made elsewhere."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.images.index import images_digest, write_index
from defectbench.images.notes import copy_notes
from defectbench.provenance import library_versions
from defectbench.sources.given_features import blocks_of, open_feature_file
from defectbench.storage import create_array, create_h5, write_json

with (
    job_log(snakemake.log[0]),
    open_feature_file(snakemake.input.file) as (X, index),
):
    provenance = {
        "images_sha256": images_digest(index),
        "device": "given features",
        "code": {"features": snakemake.params.code["code"]},
        "versions": library_versions("numpy", "h5py"),
        **{
            "preprocessing": {},
            "bits": None,
            "precision": "",
            "storage": "fp32",
            "weights_sha256": "",
        },
    }
    with create_h5(snakemake.output.features, {"provenance": provenance}) as file:
        array = create_array(file, "X", X.shape, "float32")
        for rows, values in blocks_of(X):
            array[rows] = values
    write_json(snakemake.output.notes, list(copy_notes(index)))
    write_json(snakemake.output.cost, {"/": 0.0})
    write_index(Path(snakemake.output.index), index)
