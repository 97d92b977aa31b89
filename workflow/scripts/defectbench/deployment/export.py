"""What a detector's file says of itself, beside its graph."""

import contextlib
import csv
import hashlib
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from defectbench.deployment.detector_file import KEY, sealed
from defectbench.errors import InputError
from defectbench.evaluation.thresholds import images_to_vouch_for, threshold_at_false_positive_rate
from defectbench.features.backbones import Backbone
from defectbench.features.batch_norm import fold_batch_norm
from defectbench.features.taps import Tap, feature_map

RATES = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001)
UNITS = {
    "kernel_pca_fre": "squared distance in the kernel's feature space, 0 to 1",
    "mahalanobis": "squared Mahalanobis distance, without unit",
    "nearest_neighbour": "units of the feature",
    "padim": "Mahalanobis distance, without unit",
    "patch_subspace": "squared units of the feature",
    "patchcore": "units of the feature",
    "pca_fre": "squared units of the feature",
    "pca_gaussian": "negative log likelihood, in nats",
    "pca_kde": "negative log density, in nats",
}
UNKNOWN_LICENCE = "not known here: ask where they come from"


def threshold_table(held_out: Sequence[float], asked: float) -> list[dict[str, float]]:
    """Thresholds for the asked false-positive rate and for the usual ones that the data can carry.

    Returns
    -------
    list of dict
        By falling ``false_positive_rate``: ``threshold``, and ``images_for_95_percent``, the
        held-out good images with which the rate holds with 95 % confidence, ln 0.05 / ln(1 - rate).
    """
    scores = np.asarray(held_out)
    carried = [rate for rate in RATES if rate * len(scores) >= 1]
    return [
        {
            "false_positive_rate": rate,
            "threshold": threshold_at_false_positive_rate(scores, rate),
            "images_for_95_percent": images_to_vouch_for(rate),
        }
        for rate in sorted({asked, *carried}, reverse=True)
    ]


def score_unit(scorer: str, n_layers: int) -> str:
    """Unit of a scorer's score."""
    if scorer == "pca_fre" and n_layers > 1:
        return "without unit: a held-out good image's map is 1 on average"
    return UNITS.get(scorer, "of the scorer")


def licence_notes(facts: Path, weights_sha256: str, source: str, dataset: str) -> dict[str, str]:
    """Licences of weights and data, as far as they are known.

    Parameters
    ----------
    facts
        Folder of ``weights.csv`` and ``licences.csv``.
    weights_sha256
        Of the weights: a file of the user's own may bear the name of any backbone.
    source, dataset
        The ``source`` of the dataset's images, which may be known, and its name, which is the
        user's to choose.
    """
    weights = [
        row["licence"]
        for row in _rows(facts / "weights.csv")
        if weights_sha256.startswith(row["sha256_prefix"])
    ]
    data = [
        row["licence"]
        for row in _rows(facts / "licences.csv")
        if (row["of"], row["name"]) in (("source", source), ("dataset", dataset))
    ]
    return {
        "weights": next(iter(weights), UNKNOWN_LICENCE),
        "data": next(iter(data), UNKNOWN_LICENCE),
        "probe_image": "one of the data",
    }


def _rows(file: Path) -> list[dict[str, str]]:
    with open(file, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


OPSET = 18
LARGEST_GRAPH = 2**31 - 2**24
"""Bytes: Protocol Buffers end at 2 GiB, and the metadata need some."""


class DetectorModule(torch.nn.Module):
    """Images of network size to score, verdict and, if the scorer localizes, map.

    Parameters
    ----------
    backbone
        Network and normalisation.
    taps
        Layers that the scorer reads, in its order.
    side
        Of the images.
    graph
        From `graphs.scorer_graph`.
    threshold
        Scores from here on are defective.
    """

    def __init__(
        self,
        backbone: Backbone,
        taps: Sequence[Tap],
        side: int,
        graph: torch.nn.Module,
        threshold: float,
    ) -> None:
        super().__init__()
        self.taps, self.scoring = list(taps), graph
        self.network = fold_batch_norm(backbone.network, taps, side)
        modules = dict(self.network.named_modules())
        self._layers = {tap: modules[tap.layer] for tap in taps}
        # as a number it would be rounded to float32
        self.register_buffer("threshold", torch.tensor(threshold, dtype=torch.float64))
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(backbone.std).view(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Outputs for uint8 images (n_images, side, side, 3)."""
        channels_first = images.permute(0, 3, 1, 2).contiguous()  # poolings depend on strides
        normalised = channels_first.float().div(255).sub(self.mean).div(self.std)
        score, found = self.scoring(self._features(normalised))
        verdict = score >= self.threshold
        return (score, verdict) if found is None else (score, verdict, found)

    def _features(self, normalised: torch.Tensor) -> list[torch.Tensor]:
        """What `TappedNetwork` gives, whose early end of the forward pass the exporter forbids."""
        seen: dict[Tap, torch.Tensor] = {}

        def keep(module: torch.nn.Module, inputs: Any, output: torch.Tensor, *, tap: Tap) -> None:
            if tap not in seen:
                seen[tap] = output.clone()  # a later layer may work in place

        with contextlib.ExitStack() as hooks:
            for tap, layer in self._layers.items():
                hooks.callback(layer.register_forward_hook(partial(keep, tap=tap)).remove)
            self.network(normalised)
        return [self._pooled(seen[tap], tap.pool) for tap in self.taps]

    def _pooled(self, output: torch.Tensor, pool: int) -> torch.Tensor:
        placed = feature_map(output, self.network)
        if placed is None:
            return output.flatten(1)
        return torch.nn.functional.avg_pool2d(placed, pool) if pool > 1 else placed


def onnx_model(module: DetectorModule, side: int) -> onnx.ModelProto:
    """Model of a detector, its number of images left open.

    Raises
    ------
    InputError
        If PyTorch cannot export the network, or the model is too large for one file.
    """
    example = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        outputs = ["score", "defective", "map"][: len(module.eval()(example))]
        try:
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                input_names=["images"],
                output_names=outputs,
                dynamic_shapes=({0: torch.export.Dim("n_images", min=1, max=4096)},),
                opset_version=OPSET,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise InputError(f"PyTorch cannot export this network to ONNX ({error})") from error
    if sum(buffer.nbytes for buffer in module.state_dict().values()) > LARGEST_GRAPH:
        raise InputError("the model is larger than the 2 GB that one ONNX file can hold")
    return _without_notes(program.model_proto)


def graph_sha256(model: onnx.ModelProto) -> str:
    """SHA-256 of the graph with its weights, which the metadata do not change."""
    return hashlib.sha256(model.graph.SerializeToString(deterministic=True)).hexdigest()


def detector_bytes(model: onnx.ModelProto, metadata: Mapping[str, Any]) -> bytes:
    """Content of a detector's file.

    Parameters
    ----------
    model
        From `onnx_model`; it is not changed.
    metadata
        See `detector_file.TYPES`.
    """
    complete = onnx.ModelProto()
    complete.CopyFrom(model)
    text = json.dumps(metadata, sort_keys=True, allow_nan=False)
    complete.metadata_props.add(key=KEY, value=text)
    return sealed(complete.SerializeToString(deterministic=True))


def _without_notes(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the exporter's notes on where each node came from; raw tensors alone."""
    graph = model.graph
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    constants = [part.t for part in attributes if part.type == onnx.AttributeProto.TENSOR]
    for tensor in (*graph.initializer, *constants):
        _make_raw(tensor)
    del graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *attributes):
        for note in ("doc_string", "metadata_props"):
            if note in part.DESCRIPTOR.fields_by_name:
                part.ClearField(note)
    return model


def _make_raw(tensor: onnx.TensorProto) -> None:
    array = np.ascontiguousarray(onnx.numpy_helper.to_array(tensor))
    shape = list(tensor.dims)  # ascontiguousarray gives a scalar an axis
    tensor.CopyFrom(onnx.numpy_helper.from_array(array.reshape(shape), tensor.name))
