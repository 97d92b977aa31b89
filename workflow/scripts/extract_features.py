"""Rule `features`: every layer that a category's methods read, of every backbone."""

import json
import os
import sys
from pathlib import Path

from defectbench.errors import job_log
from defectbench.features.category import Machine, write_features
from defectbench.features.passes import Pass, Tap
from defectbench.images.index import images_digest, read_index
from defectbench.provenance import file_sha256, library_versions

LIBRARIES = ("pillow", "imagecodecs", "numpy", "torch", "torchvision", "timm")

with job_log(snakemake.log[0]):
    params = snakemake.params
    index = read_index(snakemake.input.index)
    backbones = sorted({entry["backbone"] for entry in params.passes})
    weights = dict(zip(backbones, map(Path, snakemake.input.weights), strict=True))
    passes = [
        Pass(
            entry["preprocessing"],
            entry["settings"],
            entry["backbone"],
            weights[entry["backbone"]],
            tuple(Tap(*tap) for tap in entry["taps"]),
        )
        for entry in params.passes
    ]
    shared = {
        "images_sha256": images_digest(index),
        "code_features": params.code["code"],
        "versions": library_versions(*LIBRARIES),
        "bits": params.bits,
    }
    digests = {backbone: file_sha256(file) for backbone, file in weights.items()}
    provenances = {
        wanted.name: shared
        | {"preprocessing": wanted.settings, "weights_sha256": digests[wanted.backbone]}
        for wanted in passes
    }
    write_features(
        [Path(snakemake.input.category, row.path) for row in index],
        passes,
        json.loads(json.dumps(provenances)),
        # not a parameter: where features are computed does not make them others
        Machine(snakemake.config["device"], params.precision, snakemake.threads),
        Path(snakemake.output.features),
        "features " + "/".join(snakemake.wildcards),
        params.bits,
    )

# everything is written and closed; tearing PyTorch down object by object takes a while
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)
