"""A detector's graph in ONNX, and the file that holds it together with what the file says."""

import contextlib
import io
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx
import torch

from defectbench.deployment.detector_file import sealed
from defectbench.errors import InputError
from defectbench.features.backbones import Backbone
from defectbench.features.batch_norm import fold_batch_norm
from defectbench.features.taps import Tap, feature_map, own_output, pooled
from defectbench.features.tile_maps import joined
from defectbench.images.canvas import Preprocessing, canvas
from defectbench.images.tiles import Tiling

OPSET = 18
"""The lowest that PyTorch's exporter writes."""

IR_VERSION = 8
"""Of opset 18's own time, which onnxruntime reads since 1.14; the exporter writes 10."""

LARGEST_GRAPH = 2**31 - 2**24
"""Bytes: Protocol Buffers end at 2 GiB, and the metadata need some."""


class DetectorModule(torch.nn.Module):
    """Images as large as the canvas to score, verdict and, if the scorer localizes, map.

    Parameters
    ----------
    backbone
        Network and normalisation.
    taps
        Layers that the scorer reads, in its order.
    preprocessing
        Of the images, from `images.canvas.with_canvas`.
    graph
        From `graphs.scorer_graph`.
    threshold
        Scores from here on are defective.
    """

    def __init__(
        self,
        backbone: Backbone,
        taps: Sequence[Tap],
        preprocessing: Preprocessing,
        graph: torch.nn.Module,
        threshold: float,
    ) -> None:
        super().__init__()
        self.taps, self.scoring = list(taps), graph
        self.canvas, self.tiling = canvas(preprocessing), Tiling.of(preprocessing)
        self._seen = self.canvas if self.tiling is None else (self.tiling.size,) * 2
        self.network = fold_batch_norm(backbone.network, taps, self._seen)
        modules = dict(self.network.named_modules())
        self._layers = {tap: modules[tap.layer] for tap in taps}
        # as a number it would be rounded to float32
        self.register_buffer("threshold", torch.tensor(threshold, dtype=torch.float64))
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(backbone.std).view(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Outputs for uint8 images (n_images, height, width, 3)."""
        score, found = self.scoring(self._features(images))
        verdict = score >= self.threshold
        return (score, verdict) if found is None else (score, verdict, found)

    def _features(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Features of the canvas as `Extractor` makes them, of tiles one by one if it has any."""
        if self.tiling is None:
            outputs = self._outputs(images)
        else:
            size = self.tiling.size
            tiles = [
                self._outputs(images[:, top : top + size, left : left + size])
                for top in self.tiling.tops
                for left in self.tiling.lefts
            ]
            outputs = [
                self._whole(parts, tap) for tap, *parts in zip(self.taps, *tiles, strict=True)
            ]
        return [
            pooled(output, tap) if tap.pool > 1 else output
            for output, tap in zip(outputs, self.taps, strict=True)
        ]

    def _whole(self, tiles: list[torch.Tensor], tap: Tap) -> torch.Tensor:
        """Feature map of the canvas from those of its tiles; vectors of tiles side by side."""
        if tiles[0].ndim == 4:
            return joined(tiles, self.tiling, tap.layer)
        return torch.stack(tiles, 1)

    def _outputs(self, images: torch.Tensor) -> list[torch.Tensor]:
        """What `TappedNetwork` gives, whose early end of the forward pass the exporter forbids."""
        channels_first = images.permute(0, 3, 1, 2).contiguous()  # poolings depend on strides
        normalised = channels_first.float().div(255).sub(self.mean).div(self.std)
        seen: dict[Tap, torch.Tensor] = {}

        def keep(module: torch.nn.Module, inputs: Any, output: torch.Tensor, *, tap: Tap) -> None:
            if tap not in seen:
                # a later layer may work in place
                seen[tap] = own_output(module, inputs, output).clone()

        with contextlib.ExitStack() as hooks:
            for tap, layer in self._layers.items():
                hooks.callback(layer.register_forward_hook(partial(keep, tap=tap)).remove)
            self.network(normalised)
        return [self._placed(seen[tap]) for tap in self.taps]

    def _placed(self, output: torch.Tensor) -> torch.Tensor:
        placed = feature_map(output, self.network, self._seen)
        return output.flatten(1) if placed is None else placed


def onnx_model(module: DetectorModule) -> onnx.ModelProto:
    """Model of a detector, its number of images left open.

    Raises
    ------
    InputError
        If PyTorch cannot export the network, or the model is too large for one file.
    """
    example = torch.zeros((2, *module.canvas, 3), dtype=torch.uint8)
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


def detector_bytes(model: onnx.ModelProto, metadata: Mapping[str, Any]) -> bytes:
    """Content of a detector's file.

    Parameters
    ----------
    model
        From `onnx_model`.
    metadata
        See `metadata.SHAPE`.
    """
    return sealed(model.SerializeToString(deterministic=True), metadata)


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
    model.ir_version = IR_VERSION
    return model


def _make_raw(tensor: onnx.TensorProto) -> None:
    array = np.ascontiguousarray(onnx.numpy_helper.to_array(tensor))
    shape = list(tensor.dims)  # ascontiguousarray gives a scalar an axis
    tensor.CopyFrom(onnx.numpy_helper.from_array(array.reshape(shape), tensor.name))
