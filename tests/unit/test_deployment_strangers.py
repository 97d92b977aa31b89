"""A detector from a stranger: whatever its graph does, one line says so and the work goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import hostile_detectors as hostile
import numpy as np
import pytest
from bare import bare_python
from made_detectors import write_detector, write_images
from PIL import Image

import score_folder
from defectbench.deployment import detector as detectors
from defectbench.deployment import isolated_graph
from defectbench.deployment.detector import Detector, DetectorLostError
from defectbench.deployment.isolated_graph import Allowance, IsolatedGraph
from defectbench.errors import InputError
from defectbench.provenance import SCRIPTS
from defectbench.score_table import read_rows

ROOT = Path(__file__).parents[2]
GRAPH_PROCESS = "defectbench.deployment.graph_process"


def refusal(file: Path) -> str:
    """The one line that a file is refused with."""
    with pytest.raises(InputError) as refused:
        Detector(file, 1)
    line = str(refused.value)
    assert line.isprintable()
    assert str(file) in line
    return line


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "stranger.onnx"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated_graph, "allowance", lambda *_: Allowance(1 << 30, 3))


def child_of(detector: Detector) -> int:
    return detector._graph._process.pid


# other files


@pytest.mark.parametrize("way", hostile.WAYS, ids=lambda way: way.__name__)
def test_a_graph_reads_no_other_file(made: dict, file: Path, monkeypatch: pytest.MonkeyPatch, way):
    secret = hostile.write_secret(file.parent)
    monkeypatch.chdir(file.parent)
    for place in (secret.name, f"../{file.parent.name}/{secret.name}", str(secret)):
        number = hostile.external("number", place)
        file.write_bytes(hostile.detector(made["metadata"], way(number)))
        refusal(file)
    own = hostile.tensor("number", np.float64(hostile.SECRET))
    file.write_bytes(hostile.detector(made["metadata"], way(own)))
    Detector(file, 1)  # the same number from the detector itself is fine


def test_a_graph_that_refers_to_another_file_is_told_so(
    made: dict, file: Path, monkeypatch: pytest.MonkeyPatch
):
    secret = hostile.write_secret(file.parent)
    monkeypatch.chdir(file.parent)
    graph = hostile.within_if(hostile.external("number", secret.name))
    file.write_bytes(hostile.detector(made["metadata"], graph))
    assert refusal(file).endswith("not a detector: its graph refers to another file")


# crashes, memory, time


@pytest.mark.parametrize("name", hostile.HOSTILE)
def test_a_hostile_graph_is_refused_in_one_line(made: dict, file: Path, impatient: None, name: str):
    file.write_bytes(hostile.detector(made["metadata"], hostile.HOSTILE[name]()))
    line = refusal(file)
    if "-1" in name:
        assert "its process has ended (Floating point exception)" in line
    if "without end" in name or "endless" in name:
        assert "gives no answer within 3 s" in line


def test_endless_metadata_are_refused(made: dict, file: Path):
    graph = hostile.as_constant(hostile.tensor("number", np.float64(hostile.SECRET)))
    file.write_bytes(hostile.detector(made["metadata"] | {"note": "x" * (1 << 26)}, graph))
    assert refusal(file).endswith("its metadata have more than 67108864 characters")


def test_the_parent_takes_none_of_the_memory_that_a_graph_asks_for(made: dict, file: Path):
    file.write_bytes(hostile.detector(made["metadata"], hostile.swelling("Add")))
    before = resident_mb()
    refusal(file)
    assert resident_mb() - before < 50


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.fixture
def crashing(made: dict, file: Path) -> Path:
    """A detector that dies of an image with a white pixel."""
    graph = hostile.crashing_on_white(hostile.SECRET)
    file.write_bytes(hostile.detector(made["metadata"], graph))
    return file


def test_an_image_that_ends_the_detector_is_named_and_the_others_are_scored(
    crashing: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    images = tmp_path / "new"
    write_images(images, 5, n_good=5)
    Image.new("RGB", (24, 24), "white").save(images / "0002.png")
    command = ["score_folder.py", str(crashing), str(images), "--output", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", [*command, "--threads", "1"])
    assert score_folder.main() == 1
    verdicts = {row["path"]: row["verdict"] for row in read_rows(tmp_path / "out")}
    assert [name for name, each in verdicts.items() if each == "unreadable"] == ["0002.png"]
    assert len(verdicts) == 5
    said = capsys.readouterr().err
    reason = "its process has ended (Floating point exception)"
    assert f"unreadable: {images / '0002.png'}: not scored by {crashing}: {reason}" in said


def test_a_detector_whose_process_was_killed_begins_again(made: dict):
    detector = Detector(made["path"], 1)
    (before,) = detector.score(made["pixels"][:1]).scores
    os.kill(child_of(detector), signal.SIGKILL)
    with pytest.raises(InputError, match=r"its process has ended \(Killed\)"):
        detector.score(made["pixels"][:1])
    assert detector.score(made["pixels"][:1]).scores == before


def test_a_detector_that_was_exchanged_meanwhile_is_lost(made: dict, crashing: Path):
    path = crashing.with_name("used.onnx")
    path.write_bytes(made["path"].read_bytes())
    detector = Detector(path, 1)
    path.write_bytes(crashing.read_bytes())
    detector.close()
    with pytest.raises(DetectorLostError, match="has become another detector"):
        detector.score(made["pixels"][:1])


def test_a_detector_that_is_lost_ends_the_run_in_one_line(
    made: dict, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "used.onnx"
    path.write_bytes(made["path"].read_bytes())
    write_images(tmp_path / "new", 5, n_good=5)

    class Vanishing(Detector):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.close()
            path.unlink()

    monkeypatch.setattr(score_folder, "Detector", Vanishing)
    command = ["score_folder.py", str(path), str(tmp_path / "new")]
    monkeypatch.setattr(sys, "argv", [*command, "--output", str(tmp_path / "out")])
    assert score_folder.main() == 2
    assert f"error: {path}: cannot be read (No such file or directory)" in capsys.readouterr().err


def test_a_process_ends_with_the_one_that_has_started_it(made: dict):
    code = (
        "import sys, time; from defectbench.deployment.detector import Detector; "
        f"d = Detector({str(made['path'])!r}, 1); print(d._graph._process.pid, flush=True); "
        "time.sleep(60)"
    )
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
    ) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    assert gone_within(child, seconds=5)


def gone_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_forgotten_detector_leaves_no_process(made: dict):
    detector = Detector(made["path"], 1)
    child = child_of(detector)
    del detector
    assert gone_within(child, seconds=5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_to_the_whole_group_leave_the_image_at_hand_its_score(made: dict, number: int):
    detector = Detector(made["path"], 1)
    os.kill(child_of(detector), number)
    time.sleep(0.1)
    assert len(detector.score(made["pixels"][:1]).scores) == 1


def test_a_process_that_was_stopped_and_goes_on_is_not_called_late(made: dict, impatient: None):
    detector = Detector(made["path"], 1)
    os.kill(child_of(detector), signal.SIGSTOP)
    timer = subprocess.Popen(["sh", "-c", f"sleep 1.5; kill -CONT {child_of(detector)}"])
    assert len(detector.score(made["pixels"][:1]).scores) == 1
    timer.wait()


# what is told


def test_what_a_detector_may_use_follows_its_file_and_its_images():
    small, large = isolated_graph.allowance(10**7, 256**2, 2), isolated_graph.allowance(10**7, 0, 2)
    assert small.memory - large.memory == 8192 * 256**2
    assert isolated_graph.allowance(10**9, 0, 1).memory == (2 << 30) + (16 << 20) + 8 * 10**9
    assert (small.seconds, isolated_graph.allowance(10**9, 10**6, 1).seconds) == (67, 260)


def test_the_summary_says_what_the_graph_may_use(
    made: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_images(tmp_path / "new", 5, n_good=2)
    command = ["score_folder.py", str(made["path"]), str(tmp_path / "new")]
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", [*command, "--output", str(out), "--threads", "1"])
    assert score_folder.main() == 0
    told = json.loads((out / "summary.json").read_text())["allowance"]
    size = made["path"].stat().st_size
    assert told == isolated_graph.allowance(size, 24 * 24, 1)._asdict()


def test_a_system_that_limits_no_memory_is_told_of_once(
    made: dict, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    class Unlimited(IsolatedGraph):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments)
            self.told["is_limited"] = False

    monkeypatch.setattr(detectors, "IsolatedGraph", Unlimited)
    detector = Detector(made["path"], 1)
    said = capsys.readouterr().err.splitlines()
    assert set(said) == {
        f"warning: {made['path']}: this system limits no process's memory: a stranger's can take "
        "all of it"
    }
    detector.close()
    detector.score(made["pixels"][:1])
    assert not capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="macOS does not limit it")
def test_linux_limits_the_memory(made: dict):
    assert Detector(made["path"], 1)._graph.told["is_limited"]


def test_the_process_needs_onnxruntime_and_numpy_alone(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import {GRAPH_PROCESS}")
    run = subprocess.run(bare_python(script), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_whoever_uses_a_detector_does_not_load_onnxruntime():
    code = "import sys, score_folder, calibrate; print('onnxruntime' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert run.stdout.strip() == b"False"


# what is not refused


def transformer():
    from timm.models import VisionTransformer

    return VisionTransformer(img_size=24, patch_size=8, depth=2, num_heads=2, embed_dim=16)


def test_a_vision_transformer_is_loaded_and_scores(tmp_path: Path):
    made = write_detector(tmp_path, transformer, "blocks.1")
    assert "Expand" in {node.op_type for node in made["model"].graph.node}
    scores = Detector(tmp_path / "detector.onnx", 1).score(made["pixels"]).scores
    np.testing.assert_allclose(scores, made["scores"], rtol=1e-4)


def test_mutated_detectors_are_refused_in_one_line_or_score():
    """The first hundred of `make fuzz-detector`."""
    folders = [str(SCRIPTS), str(ROOT / "tests" / "support")]
    script = ROOT / "tests" / "fuzz" / "detectors.py"
    run = subprocess.run(
        [sys.executable, script, "--mutations", "100"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(folders)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "metadata: scores" in run.stdout
    assert "graph: scores" in run.stdout
