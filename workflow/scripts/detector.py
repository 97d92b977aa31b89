"""Rule `detector`: one file that scores new images as the benchmark did, once it has proved it."""

import json
from pathlib import Path

import numpy as np
import torch

from defectbench.deployment.cost import measured_cost
from defectbench.deployment.detector import Detector, decoded_image, decoded_images, encode_probe
from defectbench.deployment.detector_file import FORMAT
from defectbench.deployment.drift import image_statistics, training_ranges
from defectbench.deployment.export import (
    DetectorModule,
    detector_bytes,
    graph_sha256,
    licence_notes,
    onnx_model,
    score_unit,
    threshold_table,
)
from defectbench.deployment.graphs import scorer_graph
from defectbench.deployment.proof import prove, score_tolerance
from defectbench.errors import InputError, job_log
from defectbench.evaluation.pixel_metrics import pixel_threshold
from defectbench.features.backbones import load_backbone
from defectbench.features.taps import Tap
from defectbench.images.index import read_index
from defectbench.provenance import FACTS, file_sha256, library_versions
from defectbench.storage import atomic_path, read_arrays, read_json, read_tsv, write_json

LIBRARIES = ("numpy", "onnx", "onnxruntime", "onnxscript", "pillow", "timm", "torch", "torchvision")


def anomaly_scores(path: str) -> np.ndarray:
    return np.array([float(row["anomaly_score"]) for row in read_tsv(path)])


def job_seconds(benchmark: str) -> float | None:
    """Wall time of a job; None if it did not run here."""
    path = Path(benchmark)
    return json.loads(path.read_text().splitlines()[-1])["s"] if path.is_file() else None


def map_scale(held_out: np.ndarray | None, rate: float) -> dict[str, float] | None:
    """Levels that fix the colours of maps; None of a detector that does not localize."""
    if held_out is None:
        return None
    return {
        "typical": float(np.median(held_out)),
        "threshold": pixel_threshold(held_out, rate),
    }


with job_log(snakemake.log[0]):
    given, params, names = snakemake.input, snakemake.params, dict(snakemake.wildcards)
    torch.set_num_threads(snakemake.threads)
    arrays, attributes = read_arrays(given.model)
    provenance = attributes["provenance"]
    if provenance["precision"] != "fp32":
        raise InputError(
            f"{given.model}: its features are in {provenance['precision']}; a detector computes in "
            "fp32, so set precision: fp32"
        )
    if provenance["weights_sha256"] != file_sha256(given.weights):
        raise InputError(f"{given.weights}: not the weights that the model was fitted with")
    category = Path(given.category)
    rows = read_index(given.index)
    train = [category / row["path"] for row in read_tsv(given.held_out)]  # those left by trimming
    tests = [row for row in rows if row.split == "test"]
    test = [category / row.path for row in tests]
    scores, held_out = anomaly_scores(given.scores), anomaly_scores(given.held_out)
    threshold = read_json(given.metrics)["thresholds"]["honest"]
    maps = read_arrays(given.maps)[0]

    preprocessing, scorer = provenance["preprocessing"], provenance["scorer"]
    side = preprocessing.get("crop", preprocessing["size"])
    layers = [name.rsplit("/pool", 1) for name in provenance["layers"]]
    module = DetectorModule(
        load_backbone(names["backbone"], Path(given.weights)),
        [Tap(layer, int(pool)) for layer, pool in layers],
        side,
        scorer_graph(scorer, arrays, provenance["parameters"]),
        threshold,
    )
    model = onnx_model(module, side)
    probe = next((i for i, row in enumerate(tests) if not row.label), 0)
    metadata = {
        "format": FORMAT,
        **names,
        "preprocessing": preprocessing,
        "bits": params.bits,
        "side": side,
        "scorer": scorer,
        "parameters": provenance["parameters"],
        "layers": provenance["layers"],
        "graph_sha256": graph_sha256(model),
        "units": {"score": score_unit(scorer, len(layers))},
        "threshold": {"value": threshold, "false_positive_rate": params.false_positive_rate},
        "thresholds": threshold_table(held_out, params.false_positive_rate),
        "held_out_scores": sorted(held_out.tolist()),
        "training_images": training_ranges(
            [
                image_statistics(image.pixels, image.size)
                for image in decoded_images(train, preprocessing, snakemake.threads, params.bits)
            ]
        ),
        "probe": {
            "png": encode_probe(decoded_image(test[probe], preprocessing, params.bits).pixels),
            "score": float(scores[probe]),
        },
        "tolerance": score_tolerance(held_out),
        "map_scale": map_scale(maps.get("held_out"), params.false_positive_rate),
        "proof": {},  # to come
        "provenance": provenance
        | {
            "code_export": params.code["code"],
            "exported_with": library_versions(*LIBRARIES),
        },
        "licences": licence_notes(
            FACTS, provenance["weights_sha256"], params.source, names["dataset"]
        ),
    }
    with atomic_path(snakemake.output.detector) as part:
        part.write_bytes(detector_bytes(model, metadata))
        images = decoded_images(test, preprocessing, snakemake.threads, params.bits)
        proof = prove(Detector(part, snakemake.threads), images, scores, maps.get("test"))
        metadata["proof"] = proof._asdict()
        part.write_bytes(detector_bytes(model, metadata))
        cost = measured_cost(part, test, snakemake.threads)  # by loading it as its users do
    cost["fit_job_seconds"] = job_seconds(params.fit_benchmark)
    write_json(snakemake.output.cost, {**names, **cost, "proof": metadata["proof"]})
