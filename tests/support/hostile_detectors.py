"""Detectors that a stranger may send: their graphs read, crash, swell or never end.

Each is a sound detector's file but for its graph: metadata, probe and seal are right.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from made_detectors import SIDE
from onnx import TensorProto, helper, numpy_helper

from defectbench.deployment.detector_file import sealed

SECRET = 0.123456789
"""What a file holds that no detector may read."""

INT64 = np.iinfo(np.int64)


def detector(metadata: dict[str, Any], model: onnx.ModelProto, score: float = SECRET) -> bytes:
    """A file whose graph is expected to give a score to its probe."""
    probe = metadata["probe"] | {"score": score}
    return sealed(model.SerializeToString(), metadata | {"map_scale": None, "probe": probe})


def model(
    nodes: list[onnx.NodeProto],
    initializers: list[onnx.TensorProto] | tuple = (),
    *,
    opset: int = 18,
) -> onnx.ModelProto:
    """A model whose nodes make `found`, a number, of `images`; from it come score and verdict."""
    rest = [
        helper.make_node("ReduceMean", ["floats"], ["means"], axes=[1, 2, 3], keepdims=0)
        if opset < 18
        else helper.make_node("ReduceMean", ["floats", "axes"], ["means"], keepdims=0),
        helper.make_node("Cast", ["means"], ["doubles"], to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["doubles", "zero"], ["zeros"]),
        helper.make_node("Cast", ["found"], ["as_double"], to=TensorProto.DOUBLE),
        helper.make_node("Add", ["zeros", "as_double"], ["score"]),
        helper.make_node("GreaterOrEqual", ["score", "zero"], ["defective"]),
    ]
    constants = [tensor("zero", np.float64(0)), tensor("axes", np.array([1, 2, 3]))]
    graph = helper.make_graph(
        [helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT), *nodes, *rest],
        "stranger",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info("score", TensorProto.DOUBLE, ["n"]),
            helper.make_tensor_value_info("defective", TensorProto.BOOL, ["n"]),
        ],
        [*constants, *initializers],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)])


def tensor(name: str, value: np.ndarray | np.generic) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(value), name)


def external(name: str, location: str) -> onnx.TensorProto:
    """A number that lies in another file."""
    found = TensorProto(name=name, data_type=TensorProto.DOUBLE)
    found.data_location = TensorProto.EXTERNAL
    found.external_data.add(key="location", value=location)
    found.external_data.add(key="length", value="8")
    return found


def write_secret(folder: Path) -> Path:
    (folder / "secret.bin").write_bytes(np.float64(SECRET).tobytes())
    return folder / "secret.bin"


def as_initializer(number: onnx.TensorProto) -> onnx.ModelProto:
    return model([helper.make_node("Identity", [number.name], ["found"])], [number])


def as_output(number: onnx.TensorProto) -> onnx.ModelProto:
    """The number is an output of the graph itself."""
    found = model([helper.make_node("Identity", ["zero"], ["found"])])
    del found.graph.node[-2]  # what else would make the score
    number.name = "score"
    number.dims.append(1)
    found.graph.initializer.append(number)
    return found


def within_if(number: onnx.TensorProto) -> onnx.ModelProto:
    """The number belongs to a branch."""
    out = helper.make_tensor_value_info("inner", TensorProto.DOUBLE, [])
    nodes = [helper.make_node("Identity", [number.name], ["inner"])]
    branch = helper.make_graph(nodes, "branch", [], [out], [number])
    node = helper.make_node("If", ["always"], ["found"], then_branch=branch, else_branch=branch)
    return model([node], [tensor("always", np.bool_(True))])


def as_constant(number: onnx.TensorProto) -> onnx.ModelProto:
    """The number is an attribute of a node."""
    return model([helper.make_node("Constant", [], ["found"], value=number)])


WAYS = (as_initializer, as_output, within_if, as_constant)
"""To refer to a number in another file."""


def division(*, at_load: bool) -> onnx.ModelProto:
    """The smallest integer divided by -1: the processor traps."""
    of = "smallest" if at_load else "chosen"
    nodes = [
        helper.make_node("ReduceMax", ["floats"], ["largest"], keepdims=0),
        helper.make_node("Greater", ["largest", "none"], ["is_any"]),
        helper.make_node("Where", ["is_any", "smallest", "one"], ["chosen"]),
        helper.make_node("Div", [of, "minus"], ["found"]),
    ]
    numbers = {"smallest": INT64.min, "minus": -1, "one": 1}
    return model(
        nodes,
        [tensor("none", np.float32(-1))]
        + [tensor(name, np.int64(number)) for name, number in numbers.items()],
    )


def crashing_on_white(score: float) -> onnx.ModelProto:
    """A detector of one score that dies of an image with a white pixel."""
    nodes = [
        helper.make_node("ReduceMax", ["floats"], ["largest"], keepdims=0),
        helper.make_node("Greater", ["largest", "nearly"], ["is_white"]),
        helper.make_node("Where", ["is_white", "smallest", "one"], ["chosen"]),
        helper.make_node("Div", ["chosen", "minus"], ["quotient"]),
        helper.make_node("Mul", ["quotient", "minus"], ["again"]),
        helper.make_node("Cast", ["again"], ["unit"], to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["unit", "value"], ["found"]),
    ]
    numbers = {"smallest": INT64.min, "minus": -1, "one": 1}
    return model(
        nodes,
        [tensor("nearly", np.float32(254.5)), tensor("value", np.float64(score))]
        + [tensor(name, np.int64(number)) for name, number in numbers.items()],
    )


def swelling(operator: str) -> onnx.ModelProto:
    """A number made into 32 GB of them."""
    side = 1 << 16
    shape = tensor("shape", np.array([side, 2 * side]))
    nodes = {
        "Expand": [helper.make_node("Expand", ["means_", "shape"], ["large"])],
        "ConstantOfShape": [helper.make_node("ConstantOfShape", ["shape"], ["large"])],
        "Tile": [
            helper.make_node("Reshape", ["means_", "square"], ["row"]),
            helper.make_node("Tile", ["row", "shape"], ["large"]),
        ],
        "Add": [
            helper.make_node("Expand", ["means_", "tall"], ["column"]),
            helper.make_node("Expand", ["means_", "wide"], ["row"]),
            helper.make_node("Add", ["column", "row"], ["large"]),
        ],
        "Pad": [
            helper.make_node("Reshape", ["means_", "square"], ["row"]),
            helper.make_node("Pad", ["row", "pads"], ["large"]),
        ],
    }[operator]
    return model(
        [
            helper.make_node("ReduceMean", ["floats"], ["means_"], keepdims=0),
            *nodes,
            helper.make_node("ReduceMean", ["large"], ["found"], keepdims=0),
        ],
        [
            shape,
            tensor("square", np.array([1, 1])),
            tensor("tall", np.array([2 * side, 1])),
            tensor("wide", np.array([1, side])),
            tensor("pads", np.array([0, 0, side, 2 * side])),
        ],
    )


def endless(operator: str = "Loop") -> onnx.ModelProto:
    """A loop of more rounds than there is time for."""
    value = helper.make_tensor_value_info
    if operator == "Loop":
        body = helper.make_graph(
            [
                helper.make_node("Identity", ["going"], ["goes_on"]),
                helper.make_node("Add", ["carried", "one"], ["next"]),
            ],
            "body",
            [
                value("round", TensorProto.INT64, []),
                value("going", TensorProto.BOOL, []),
                value("carried", TensorProto.DOUBLE, []),
            ],
            [value("goes_on", TensorProto.BOOL, []), value("next", TensorProto.DOUBLE, [])],
            [tensor("one", np.float64(1))],
        )
        nodes = [helper.make_node("Loop", ["rounds", "always", "zero"], ["found"], body=body)]
        constants = [tensor("rounds", np.int64(INT64.max)), tensor("always", np.bool_(True))]
        return model(nodes, constants)
    nodes = [helper.make_node("Expand", ["pixel", "side"], ["m0"])]
    nodes.insert(0, helper.make_node("ReduceMean", ["floats"], ["pixel"], keepdims=0))
    nodes += [helper.make_node("MatMul", [f"m{i}", f"m{i}"], [f"m{i + 1}"]) for i in range(400)]
    nodes.append(helper.make_node("ReduceMean", ["m400"], ["found"], keepdims=0))
    return model(nodes, [tensor("side", np.array([5000, 5000]))])


def giving(kind: int, shape: list[int]) -> onnx.ModelProto:
    """A score of another type or shape than it states."""
    found = model([helper.make_node("Identity", ["zero"], ["found"])], [])
    node = next(node for node in found.graph.node if node.output[0] == "score")
    node.output[0] = "score_before"
    verdict = next(node for node in found.graph.node if node.output[0] == "defective")
    verdict.input[0] = "score_before"
    found.graph.node.append(helper.make_node("Cast", ["score_before"], ["score_cast"], to=kind))
    found.graph.node.append(helper.make_node("Expand", ["score_cast", "size"], ["score"]))
    found.graph.initializer.append(tensor("size", np.array(shape, np.int64)))
    if kind != TensorProto.DOUBLE:
        found.graph.output[0].type.tensor_type.elem_type = kind
    return found


HOSTILE: dict[str, Callable[[], onnx.ModelProto]] = {
    "smallest integer by -1, when it is loaded": lambda: division(at_load=True),
    "smallest integer by -1, when it scores": lambda: division(at_load=False),
    **{
        f"32 GB by {name}": lambda name=name: swelling(name)
        for name in ("Expand", "ConstantOfShape", "Tile", "Add", "Pad")
    },
    "endless loop": endless,
    "products without end": lambda: endless("MatMul"),
    "score of another shape": lambda: giving(TensorProto.DOUBLE, [7, 1]),
    "score of no image": lambda: giving(TensorProto.DOUBLE, [0]),
    "score as text": lambda: giving(TensorProto.STRING, [1]),
    "score as float": lambda: giving(TensorProto.FLOAT, [1]),
}
"""Graphs that use time or memory, crash, or give what no detector gives."""
