"""Detectors from strangers, mutated and hostile: each is refused in one line, or scores.

A file is sealed anew after it was mutated, for else its seal would end all trials. The process of
a graph is forked from one that has onnxruntime loaded, which spares its start.
"""

import argparse
import contextlib
import copy
import io
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import hostile_detectors as hostile
import numpy as np
import onnx
from made_detectors import write_images

from defectbench.cpus import usable_cpus
from defectbench.deployment import graph_process, isolated_graph
from defectbench.deployment.detector import Detector
from defectbench.deployment.detector_file import KEY, SEAL_BYTES, sealed, with_seal
from defectbench.deployment.folder import FolderScoring, Options
from defectbench.deployment.isolated_graph import Allowance
from defectbench.errors import InputError

ALLOWED = Allowance(1 << 30, 3)
"""The small detector here needs a thousandth of it."""

HANG_SECONDS = 60
"""No file may take that long, even if its graph is killed at each of three images."""

EXTREMES = (
    *(None, True, -1, 0, 1, 2**31, 2**63, 10**400, -0.0, 0.5, 1e308, -1e308),
    *(float("nan"), float("inf"), "", "\ud800", "a\x1b[31m\nb", "x" * 10_000, [], [[]], {}),
    *([0, 0], [1, -1], [10**9, 10**9], {"value": 1}, [None], "24", "original", "keep"),
)
"""Values for entries of the metadata."""

OPERATORS = (
    *(
        "Add",
        "Div",
        "Mod",
        "Pow",
        "MatMul",
        "Gather",
        "Reshape",
        "Expand",
        "Tile",
        "Range",
        "Resize",
    ),
    *(
        "Identity",
        "Loop",
        "If",
        "Scan",
        "StringNormalizer",
        "NonZero",
        "OneHot",
        "EyeLike",
        "Shape",
    ),
    *("RandomNormal", "SequenceEmpty", "Optional", "Pad", "TopK", "Cast", "Conv", "Einsum"),
)
INTEGERS = (-(2**63), -1, 0, 1, 2, 7, 1000, 2**31 - 1, 2**40, 2**63 - 1)


def main() -> int:
    """Try them all; exit status 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # PyTorch, which exports the detector, has threads that a fork would lose
        code = (
            "import made_detectors as m, pathlib, sys; m.write_detector(pathlib.Path(sys.argv[1]))"
        )
        subprocess.run([sys.executable, "-c", code, folder], check=True)
        content = (folder / "detector.onnx").read_bytes()
        found = Counter(f"hostile: {said}" for said in judged_hostile(content, folder))
        parts = usable_cpus()
        shares = [(content, options.seed, part, parts, options.mutations) for part in range(parts)]
        with multiprocessing.get_context("fork").Pool(parts) as pool:
            found += sum(pool.starmap(judged_mutants, shares), Counter())
    for what, count in sorted(found.items()):
        print(f"{count:6} {what}")
    return int(any("WRONG" in what for what in found))


def judged_mutants(content: bytes, seed: int, part: int, parts: int, count: int) -> Counter[str]:
    """What became of every `parts`-th mutation."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        images = Path(temporary, "images")
        write_images(images, 3, 2)
        for number in range(part, count, parts):
            rng = np.random.default_rng([seed, number])
            kind, mutant = mutated(content, rng)
            said = judged(mutant, Path(temporary), checked=bool(number % 3))
            found[f"{kind}: {said}"] += 1
            if said.startswith("WRONG"):
                found[f"WRONG is number {number}"] += 1
    return found


def judged_hostile(content: bytes, folder: Path) -> Iterator[str]:
    """What became of graphs made by hand, and of metadata that name other sizes."""
    secret, metadata = hostile.write_secret(folder), described(content)
    write_images(folder / "images", 3, 2)
    cases = {name: hostile.detector(metadata, make()) for name, make in hostile.HOSTILE.items()}
    for way in hostile.WAYS:
        for place in (secret.name, str(secret), f"../{folder.name}/{secret.name}"):
            name = f"another file {way.__name__}"
            cases[f"{name} {place}"] = hostile.detector(
                metadata, way(hostile.external("number", place))
            )
    with contextlib.chdir(folder):
        for name, case in cases.items():
            for checked in (False, True):
                said = judged(case, folder, checked=checked)
                yield f"WRONG: {name} scores" if said == "scores" else said


def judged(content: bytes, folder: Path, *, checked: bool) -> str:
    """Whether a file scores, is refused, or ends in what no file may end in."""
    file, errors = folder / "mutant.onnx", io.StringIO()
    file.write_bytes(content)
    find = (lambda name: None) if not checked else graph_process.importlib.util.find_spec
    signal.signal(signal.SIGALRM, ended_by_alarm)
    signal.alarm(HANG_SECONDS)
    try:
        with (
            patch.object(isolated_graph, "started", forked),
            patch.object(isolated_graph, "allowance", lambda *_: ALLOWED),
            patch.object(graph_process.importlib.util, "find_spec", find),
            contextlib.redirect_stderr(errors),
        ):
            return used(file, folder)
    except InputError as error:
        line = str(error)
        if not line.isprintable() or str(file) not in line:
            return f"WRONG: {line!r}"
        return "its process ended, refused" if "has ended" in line else "refused"
    except BaseException:
        return f"WRONG: {traceback.format_exc()}"
    finally:
        signal.alarm(0)


def used(file: Path, folder: Path) -> str:
    """A detector scores a folder, if it can be opened."""
    detector = Detector(file, 1)
    try:
        options = Options(folder / "images", folder / "scores", 1, overwrite=True)
        scoring = FolderScoring(detector, options)
        scoring.score(scoring.images())
        summary = json.dumps(scoring.summary())
        return "scores" if json.loads(summary)["images"] else "scores no image"
    finally:
        detector.close()


def ended_by_alarm(*_: object) -> None:
    raise TimeoutError("it hangs")


class Forked:
    """A process of a graph, in the place of `subprocess.Popen`."""

    def __init__(self, pid: int) -> None:
        self._pid, self._code = pid, None

    def wait(self, _: float) -> None:
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def poll(self) -> int | None:
        return self._code

    def kill(self) -> None:
        if self._code is None:
            os.kill(self._pid, signal.SIGKILL)

    def communicate(self) -> tuple[str, str]:
        self.wait(0)
        return "", ""


def forked(
    end: socket.socket, file: Path, threads: int, gives_way: bool, allowed: Allowance
) -> Forked:
    """As `isolated_graph.started`."""
    if pid := os.fork():
        return Forked(pid)
    try:
        signal.alarm(0)
        sys.stderr = sys.__stderr__
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        graph_process.serve(end, file, threads, gives_way, *allowed)
    finally:
        os._exit(1)


def described(content: bytes) -> dict[str, Any]:
    """The metadata of a detector."""
    entries = onnx.load_from_string(content).metadata_props
    return json.loads(next(entry.value for entry in entries if entry.key == KEY))


def mutated(content: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """A kind of mutation, and a file that has undergone it."""
    kinds = (mutated_bytes, mutated_graph, mutated_metadata)
    kind = kinds[int(rng.integers(len(kinds)))]
    return kind.__name__.removeprefix("mutated_"), kind(content, rng)


def mutated_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """Bits flipped, or a span exchanged, left out or doubled; a tenth keeps the broken seal."""
    body = bytearray(content[:-SEAL_BYTES])
    for _ in range(int(rng.integers(1, 4))):
        start = int(rng.integers(len(body) - 64))
        length, kind = int(rng.integers(1, 64)), int(rng.integers(5))
        if kind < 2:
            body[start] ^= 1 << int(rng.integers(8))
        else:
            span = (rng.bytes(length), b"", bytes(body[start : start + length]) * 2)[kind - 2]
            body[start : start + length] = span
    return with_seal(bytes(body)) if rng.integers(10) else bytes(body) + content[-SEAL_BYTES:]


def mutated_graph(content: bytes, rng: np.random.Generator) -> bytes:
    """Operators, connections, attributes and tensors exchanged for others."""
    model = onnx.load_from_string(content)
    del model.metadata_props[:]
    names = [name for node in model.graph.node for name in (*node.input, *node.output)]
    names += ["", "images", "score", "\x1b[31m", "a\nb"]
    for _ in range(int(rng.integers(1, 4))):
        change_graph(model, names, rng)
    return sealed(model.SerializeToString(), described(content))


def change_graph(model: onnx.ModelProto, names: list[str], rng: np.random.Generator) -> None:
    """Change one thing."""
    graph = model.graph
    node = graph.node[int(rng.integers(len(graph.node)))]
    tensor = graph.initializer[int(rng.integers(len(graph.initializer)))]
    ends = [side for side in (node.input, node.output) if side]
    domains = ["com.microsoft", "ai.onnx.ml", "x"]
    changes: tuple[Callable[[], Any], ...] = (
        lambda: setattr(node, "op_type", str(rng.choice(OPERATORS))),
        lambda: ends[0].__setitem__(0, str(rng.choice(names))),
        lambda: ends[-1].__setitem__(0, str(rng.choice(names))),
        lambda: change_attribute(node, rng),
        lambda: tensor.dims.append(int(rng.choice(INTEGERS))),
        lambda: setattr(tensor, "data_type", int(rng.integers(24))),
        lambda: change_values(tensor, rng),
        lambda: graph.node.remove(node),
        lambda: setattr(node, "domain", str(rng.choice(domains))),
        lambda: setattr(model.opset_import[0], "version", int(rng.integers(-1, 30))),
        lambda: setattr(model, "ir_version", int(rng.integers(0, 15))),
    )
    changes[int(rng.integers(len(changes)))]()


def change_attribute(node: onnx.NodeProto, rng: np.random.Generator) -> None:
    if not node.attribute:
        return
    attribute = node.attribute[int(rng.integers(len(node.attribute)))]
    if attribute.ints:
        attribute.ints[int(rng.integers(len(attribute.ints)))] = int(rng.choice(INTEGERS))
    else:
        attribute.i = int(rng.choice(INTEGERS))


def change_values(tensor: onnx.TensorProto, rng: np.random.Generator) -> None:
    try:
        values = onnx.numpy_helper.to_array(tensor).copy()
    except (ValueError, TypeError, KeyError):  # of a tensor that was changed before
        return
    if values.size and values.dtype.kind in "if":
        low = np.iinfo(values.dtype).min if values.dtype.kind == "i" else np.inf
        values.flat[int(rng.integers(values.size))] = rng.choice([low, 0, -1, 1])
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def mutated_metadata(content: bytes, rng: np.random.Generator) -> bytes:
    """Entries at any depth exchanged for extreme ones, left out, or those of an older format."""
    metadata = described(content)
    for _ in range(int(rng.integers(1, 4))):
        owner, key = some_entry(metadata, rng)
        if rng.integers(8):
            owner[key] = copy.deepcopy(EXTREMES[int(rng.integers(len(EXTREMES)))])
        else:
            del owner[key]
    if not rng.integers(4):
        metadata["format"] = int(rng.integers(0, 7))
    model = onnx.load_from_string(content)
    del model.metadata_props[:]
    # as `sealed` does, which writes no numbers that are none
    model.metadata_props.add(key=KEY, value=json.dumps(metadata, sort_keys=True))
    return with_seal(model.SerializeToString())


def some_entry(value: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """A list or an object somewhere in the metadata, and one of its keys."""
    while True:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = keys[int(rng.integers(len(keys)))]
        inner = value[key]
        if not isinstance(inner, dict | list) or not inner or not rng.integers(4):
            return value, key
        value = inner


if __name__ == "__main__":
    sys.exit(main())
