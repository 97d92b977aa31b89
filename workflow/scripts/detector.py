"""Rule `detector`: one file that scores new images as the benchmark did, once it has proved it."""

from pathlib import Path

import torch

from defectbench.atomic import atomic_path
from defectbench.deployment.card import Benchmarked, detector_metadata
from defectbench.deployment.detector import Detector
from defectbench.deployment.export import DetectorModule, detector_bytes, onnx_model
from defectbench.deployment.graphs import scorer_graph
from defectbench.deployment.proof import prove
from defectbench.errors import InputError, job_log
from defectbench.evaluation.good_images import read_good_images
from defectbench.evaluation.promises import Asked, most_above, promise
from defectbench.features.backbones import load_backbone
from defectbench.features.taps import Tap
from defectbench.garbage import exiting_at_once
from defectbench.images.index import read_index
from defectbench.licences import licence_notes
from defectbench.map_file import open_maps
from defectbench.progress import say, warn
from defectbench.provenance import file_sha256, library_versions
from defectbench.records import (
    HeldOutScores,
    Metrics,
    Specification,
    read_metrics,
    read_scores,
    read_specified,
)

LIBRARIES = ("numpy", "onnx", "onnxruntime", "onnxscript", "pillow", "timm", "torch", "torchvision")


def check_specification(specification: Specification, model: str, weights: str) -> None:
    """Refuse a model that a detector could not repeat."""
    precision = specification["precision"]
    if precision != "fp32":
        raise InputError(
            f"{model}: its features are in {precision}; a detector computes in fp32, so set "
            "precision: fp32"
        )
    if specification["weights_sha256"] != file_sha256(weights):
        raise InputError(f"{weights}: not the weights that the model was fitted with")


def at_rate(metrics: Metrics, good: HeldOutScores, rate: float) -> Metrics:
    """The metrics with the threshold for another false-positive rate, by the same rule."""
    set_for = metrics["promise"]
    promised = promise(good.scores, good.groups, Asked(rate, set_for["rule"], set_for["folds"]))
    if most_above(promised["groups"], rate, set_for["rule"]) < 0:
        raise InputError(
            f"{promised['groups']} independent good parts support no threshold for a rate of "
            f"{rate:g}; ask for a larger one"
        )
    thresholds = metrics["thresholds"] | {"honest": promised["threshold"]}
    return {**metrics, "promise": promised, "thresholds": thresholds}


def detector_module(arrays: dict, cell: Benchmarked, weights: str) -> DetectorModule:
    """Network, scorer and threshold as one module."""
    specification = cell.specification
    layers = [name.rsplit("/pool", 1) for name in specification["layers"]]
    return DetectorModule(
        load_backbone(cell.metrics["backbone"], Path(weights)),
        [Tap(layer, int(pool)) for layer, pool in layers],
        specification["preprocessing"],
        scorer_graph(specification["scorer"], arrays, specification["parameters"]),
        cell.metrics["thresholds"]["honest"],
    )


with exiting_at_once(), job_log(snakemake.log[0]), open_maps(snakemake.input.maps) as (maps, _):
    given, params, names = snakemake.input, snakemake.params, dict(snakemake.wildcards)
    torch.set_num_threads(snakemake.threads)
    arrays, specification = read_specified(given.model)
    check_specification(specification, given.model, given.weights)
    good = read_good_images(given.held_out, given.calibration)
    metrics = read_metrics(given.metrics)
    cell = Benchmarked(
        {row.path: Path(given.category, row.file) for row in read_index(given.index)},
        specification,
        metrics if params.rate is None else at_rate(metrics, good.setting, params.rate),
        read_scores(given.scores),
        good,
        maps,
        Path(params.calibration).name,
    )
    label = "/".join(names.values())
    say(label, "exports the network, which takes up to a minute")
    model = onnx_model(detector_module(arrays, cell, given.weights))
    weights_sha256 = specification["weights_sha256"]
    metadata = {
        **detector_metadata(cell, snakemake.threads),
        "licences": licence_notes(weights_sha256, params.source, names["dataset"]),
        "provenance": {
            **specification,
            "code_export": params.code["code"],
            "exported_with": library_versions(*LIBRARIES),
        },
        "proof": {},  # to come: the file that is proved is complete but for this
    }
    with atomic_path(snakemake.output.detector) as part:
        part.write_bytes(detector_bytes(model, metadata))
        say(label, f"scores {len(cell.test_files)} test images as its users will")
        detector, scores = Detector(part, snakemake.threads, gives_way=True), cell.test.scores
        proof = prove(detector, cell.test_files, scores, cell.maps.get("test"), snakemake.threads)
        metadata["proof"] = proof
        if left := proof["left_out"]:
            warn(f"{label}: {left} test images of another shape are not scored")
        part.write_bytes(detector_bytes(model, metadata))
