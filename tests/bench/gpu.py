"""Backbones on a GPU: the workflow's pass against a plain loop with the images in memory."""

import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from inputs import LAYER_OF_RESNETS, LAYERS, fre, image_config, make_weights
from measuring import Project, Usage, ask, table

NO_GPU = "## GPU\n\nNo GPU here: not measured."
SAMPLE_MS = 200


def has_gpu() -> bool:
    """Whether NVIDIA's driver lists a GPU."""
    command = shutil.which("nvidia-smi")
    return bool(command) and not subprocess.run([command, "-L"], capture_output=True).returncode


def gpu(scratch: Path, category: Path, backbones: list[str], project: Project, rounds: int) -> str:
    """Images per second and busy share of every backbone in fp32 and bf16."""
    if not has_gpu():
        return NO_GPU
    weights = make_weights(scratch, backbones)
    rows = []
    for backbone in backbones:
        for precision in ("fp32", "bf16"):
            plain, measured, busy = [], [], []
            for _ in range(rounds):
                plain.append(_plain_rate(category, weights[backbone], backbone, precision))
                methods = {"fre": fre([backbone])}
                one = {backbone: weights[backbone]}
                config = image_config(category.parent, one, methods, "cuda", precision)
                rate, share, wall = _workflow_rate(scratch, project, config)
                measured.append(rate)
                busy.append((share, wall))
            rows.append(
                [
                    f"{backbone}, {precision}",
                    f"{statistics.median(plain):.0f}",
                    f"{statistics.median(measured):.0f}",
                    *(f"{statistics.median(each):.1f}" for each in zip(*busy, strict=True)),
                ]
            )
    name = subprocess.check_output(
        ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], text=True
    ).splitlines()[0]
    header = ["run", "plain loop images/s", "workflow images/s", "GPU busy % of the run", "run s"]
    return f"## GPU: {name}\n\n{table(rows, header)}"


def _plain_rate(category: Path, weights: Path, backbone: str, precision: str) -> float:
    layer, side = LAYERS.get(backbone, LAYER_OF_RESNETS)
    network = [str(category), str(weights), "--backbone", backbone, "--layer", layer]
    settings = ["--resizes", f"lanczos{side}", "--precision", precision, "--device", "cuda"]
    floors = ask("floors.py", *network, *settings, "--images", "512")
    return 1 / floors["forward"]["wall"]


def _workflow_rate(scratch: Path, project: Project, config: dict) -> tuple[float, float, float]:
    """Images per second of the extraction, percentage of the run that the GPU was busy, seconds."""
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        share, seconds = busy_share(lambda: project.run(folder, config, "all"))
        (log,) = folder.glob("logs/bench/*/features.log")
        rate = float(re.findall(r" images, ([\d.]+) images/s", log.read_text())[-1])
    return rate, share, seconds


def busy_share(work: Callable[[], Usage]) -> tuple[float, float]:
    """Percentage of the time of some work that the GPU was busy, sampled, and its wall seconds."""
    query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", str(SAMPLE_MS)]
    sampler = subprocess.Popen(["nvidia-smi", *query], stdout=subprocess.PIPE, text=True)
    try:
        usage = work()
    finally:
        sampler.terminate()
        samples = [int(line) for line in sampler.communicate()[0].split() if line.isdigit()]
    return statistics.fmean(samples) if samples else 0.0, usage.wall
