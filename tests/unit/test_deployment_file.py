"""A detector's file: it scores as the model did, and anything else is refused with one line."""

import base64
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from made_detectors import SIDE

from defectbench.deployment.detector import Detector
from defectbench.deployment.detector_file import read_sealed, with_seal
from defectbench.deployment.export import detector_bytes, onnx_model
from defectbench.deployment.probe import encode_probe
from defectbench.deployment.proof import prove
from defectbench.errors import InputError

MUTANTS = 300


@pytest.fixture(scope="module")
def content(made: dict) -> bytes:
    return made["path"].read_bytes()


def refusal(path: Path) -> str:
    """The one line that a file is refused with."""
    with pytest.raises(InputError) as refused:
        Detector(path, 1)
    line = str(refused.value)
    assert "\n" not in line
    assert str(path) in line
    return line


def changed(made: dict, path: Path, **metadata: object) -> Path:
    path.write_bytes(detector_bytes(made["model"], made["metadata"] | metadata))
    return path


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def altered_model(made: dict, path: Path, alter: Callable[[onnx.ModelProto], object]) -> Path:
    model = copied(made["model"])
    alter(model)
    path.write_bytes(detector_bytes(model, made["metadata"]))
    return path


def test_scores_verdicts_and_maps_are_those_of_the_scorer(made: dict):
    scored = Detector(made["path"], 1).score(made["pixels"])
    np.testing.assert_allclose(scored.scores, made["scores"], rtol=1e-5)
    np.testing.assert_allclose(scored.maps, made["maps"], atol=1e-5 * made["maps"].max())
    threshold = made["metadata"]["threshold"]["value"]
    assert (scored.defective == (made["scores"] >= threshold)).all()
    assert scored.defective.sum() == 2  # 5 % of 40


def test_an_image_scores_alike_alone_and_in_a_batch(made: dict):
    detector = Detector(made["path"], 1)
    together = detector.score(made["pixels"]).scores
    alone = [detector.score(image[None]).scores[0] for image in made["pixels"]]
    np.testing.assert_allclose(alone, together, rtol=1e-6)


def test_two_exports_are_the_same_bytes(made: dict, content: bytes):
    again = onnx_model(made["module"])
    assert detector_bytes(again, made["metadata"]) == content


def test_onnx_itself_finds_the_model_sound(content: bytes):
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert {entry.domain for entry in model.opset_import} == {""}


def test_layers_beyond_the_deepest_tap_are_left_out(made: dict):
    shapes = [list(tensor.dims) for tensor in made["model"].graph.initializer]
    assert [8, 3, 3, 3] in shapes
    assert [5, 432] not in shapes


def test_a_proof_holds_for_the_scores_of_the_benchmark(made: dict):
    proof = prove(Detector(made["path"], 1), made["files"], made["scores"], made["maps"], 1)
    assert (proof["images"], proof["verdict_flips"]) == (40, 0)
    assert proof["largest_share_of_tolerance"] < 0.1
    assert proof["largest_map_deviation"] < 1e-4


@pytest.mark.parametrize(
    ("scores", "maps", "complaint"),
    [(1.01, 1, "scores test image"), (1, 1.01, "maps deviate"), (np.nan, 1, "scores test image")],
)
def test_a_proof_fails_for_other_scores_or_maps(made: dict, scores, maps, complaint):
    detector = Detector(made["path"], 1)
    with pytest.raises(InputError, match=complaint):
        prove(detector, made["files"], made["scores"] * scores, made["maps"] * maps, 1)


def test_a_verdict_that_flips_beyond_rounding_fails_the_proof(made: dict, tmp_path: Path):
    def raise_threshold(model: onnx.ModelProto) -> None:
        threshold = made["metadata"]["threshold"]["value"]
        (tensor,) = (
            t
            for t in model.graph.initializer
            if t.data_type == onnx.TensorProto.DOUBLE
            and onnx.numpy_helper.to_array(t).ravel().tolist() == [threshold]
        )
        higher = np.full(list(tensor.dims), 2 * threshold)
        tensor.CopyFrom(onnx.numpy_helper.from_array(higher, tensor.name))

    detector = Detector(altered_model(made, tmp_path / "d.onnx", raise_threshold), 1)
    with pytest.raises(InputError, match="verdict on test image"):
        prove(detector, made["files"], made["scores"], None, 1)


def test_any_flipped_bit_is_noticed(content: bytes, tmp_path: Path):
    rng = np.random.default_rng(42)
    path = tmp_path / "d.onnx"
    for _ in range(MUTANTS):
        damaged = bytearray(content)
        damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"damaged|cut short"):
            read_sealed(path)


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_a_cut_file_is_noticed(content: bytes, tmp_path: Path, share: float):
    path = tmp_path / "d.onnx"
    path.write_bytes(content[: int(share * len(content))])
    assert "cut short" in refusal(path)


def test_an_empty_a_missing_and_a_foreign_file_are_refused(tmp_path: Path):
    (tmp_path / "empty.onnx").touch()
    assert "cut short" in refusal(tmp_path / "empty.onnx")
    assert "No such file" in refusal(tmp_path / "missing.onnx")
    foreign = tmp_path / "weights.onnx"
    torch.save({"a": torch.zeros(3)}, foreign)
    assert "no seal" in refusal(foreign)
    foreign.write_bytes(with_seal(foreign.read_bytes()))
    assert "cannot be run" in refusal(foreign)


def test_a_wrong_probe_is_an_error(made: dict, tmp_path: Path):
    probe = made["metadata"]["probe"]
    wrong = changed(made, tmp_path / "d.onnx", probe=probe | {"score": probe["score"] * 1.01})
    assert "does not score its probe image" in refusal(wrong)


def test_other_weights_are_noticed_by_the_probe(made: dict, tmp_path: Path):
    def scale(model: onnx.ModelProto) -> None:
        tensor = next(t for t in model.graph.initializer if list(t.dims) == [8, 3, 3, 3])
        weights = onnx.numpy_helper.to_array(tensor) * np.float32(1.01)
        tensor.CopyFrom(onnx.numpy_helper.from_array(weights, tensor.name))

    path = altered_model(made, tmp_path / "d.onnx", scale)
    assert "does not score its probe image" in refusal(path)


def test_a_probe_of_another_size_is_refused(made: dict, tmp_path: Path):
    png = encode_probe(np.zeros((8, 8, 3), np.uint8))
    wrong = changed(made, tmp_path / "d.onnx", probe=made["metadata"]["probe"] | {"png": png})
    assert "another size" in refusal(wrong)


@pytest.mark.parametrize(
    "metadata",
    [
        {"format": 6},
        {"preprocessing": {"interpolation": "lanczos", "size": 10**9}},
        {"preprocessing": {"interpolation": "lanczos", "size": "24"}},
        {"preprocessing": {"interpolation": "lanczos", "size": [24]}},
        {"preprocessing": {"interpolation": "lanczos", "size": SIDE, "crop": "2"}},
        {"preprocessing": {"interpolation": "lanczos", "size": SIDE, "aspect": "keep"}},
        {"preprocessing": {"interpolation": "lanczos", "size": "original", "canvas": [0, 9]}},
        {"preprocessing": {"interpolation": "nearest", "size": SIDE}},
        {"preprocessing": {"interpolation": "lanczos", "size": SIDE, "aspect": "stretch"}},
        {"threshold": {"value": None, "false_positive_rate": 0.05}},
        {"held_out_scores": []},
        {"held_out_scores": ["1"]},
        {"training_images": {}},
        {"thresholds": [1]},
        {"bits": 99},
        {"map_scale": None},
        {"map_scale": {"typical": 0}},
        {"map_scale": {"typical": 1, "threshold": 1, "more": 1}},
        {"preprocessing": {"interpolation": "lanczos", "size": SIDE, "crop": SIDE + 1}},
        {"preprocessing": {"interpolation": "lanczos", "size": [SIDE, SIDE], "crop": 8}},
        {"preprocessing": {"interpolation": "lanczos", "size": [SIDE, 2 * SIDE], "aspect": "pad"}},
        {"preprocessing": {"interpolation": "lanczos", "size": [SIDE, 2 * SIDE]}},
        {"preprocessing": {"interpolation": "lanczos", "size": 10_000}},
        {"method": "\x1b[31mred"},
        {"category": "\ud800"},
        {"probe": {"png": 1, "score": 1}},
        {"probe": {"png": "&", "score": 1}},
    ],
    ids=str,
)
def test_metadata_out_of_range_are_refused(made: dict, tmp_path: Path, metadata: dict):
    refusal(changed(made, tmp_path / "d.onnx", **metadata))


def test_a_probe_that_would_be_400_million_pixels_is_refused(made: dict, tmp_path: Path):
    head = struct.pack(">II5B", 20_000, 20_000, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(b"IHDR" + head))
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head + crc
    probe = made["metadata"]["probe"] | {"png": base64.b64encode(png).decode()}
    wrong = changed(made, tmp_path / "d.onnx", probe=probe)
    assert "its probe image cannot be decoded" in refusal(wrong)


def test_detectors_of_the_third_format_on_are_read_and_older_ones_have_to_be_exported_again(
    made: dict, tmp_path: Path
):
    older = changed(made, tmp_path / "d.onnx", format=3, graph_sha256="0" * 64)
    assert "graph_sha256" not in Detector(older, 1).metadata
    line = refusal(changed(made, tmp_path / "d.onnx", format=2))
    assert line.endswith("not a detector of format 3 or 4 or 5: export it again with this version")


def test_metadata_that_are_no_json_are_refused(made: dict, tmp_path: Path):
    model = copied(made["model"])
    path = tmp_path / "d.onnx"
    for text in ("", "{", "[" * 100_000, json.dumps([1])):
        del model.metadata_props[:]
        model.metadata_props.add(key="defectbench", value=text)
        path.write_bytes(with_seal(model.SerializeToString()))
        assert "not a detector" in refusal(path)


def with_huge_padding(model: onnx.ModelProto) -> None:
    pads = next(a for n in model.graph.node for a in n.attribute if a.name == "pads")
    pads.ints[0] = 10**6


def with_external_data(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def with_another_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 48


SUBGRAPH = {"type": onnx.AttributeProto.GRAPH, "g": onnx.GraphProto(name="inner")}
ALTERED = {
    "other opset": lambda model: setattr(model.opset_import[0], "version", 7),
    "foreign domain": lambda model: setattr(model.graph.node[0], "domain", "com.microsoft"),
    "foreign operator": lambda model: setattr(model.graph.node[0], "op_type", "Loop"),
    "external data": with_external_data,
    "huge shape": lambda model: model.graph.initializer[0].dims.extend([2**40, 2**10]),
    "subgraph": lambda model: model.graph.node[0].attribute.add(name="body", **SUBGRAPH),
    "function": lambda model: model.functions.add(name="f"),
    "other input": with_another_input,
    "no graph": lambda model: model.ClearField("graph"),
    "huge padding": with_huge_padding,
}


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_models_that_hold_more_than_a_detector_needs_are_refused(made: dict, tmp_path: Path, alter):
    refusal(altered_model(made, tmp_path / "d.onnx", alter))
