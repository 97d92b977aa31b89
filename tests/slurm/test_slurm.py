"""The workflow on a real SLURM: through its profiles, with the same bytes as on one machine."""

import re
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest
from local_slurm import command, start_slurmd
from runs import ROOT, TABLE, mounted, reports, snakemake, snakemake_command, write_config

PROFILES = ROOT / "workflow" / "profiles"
# no database here (see the profile); the rest makes a test of a minute out of one of ten
SLURM = (
    "--workflow-profile",
    str(PROFILES / "slurm"),
    "--slurm-no-account",
    "--slurm-status-command",
    "squeue",
    "--slurm-init-seconds-before-status-checks",
    "4",
    "--slurm-keep-successful-logs",
    "--latency-wait",
    "10",
)
SUBMIT = (
    "sbatch --parsable --cpus-per-task={threads} --mem={resources.mem_mb} "
    "--time={resources.runtime} --gpus={resources.gpu} --partition={resources.slurm_partition} "
    "--output=/dev/null"
)
GENERIC = (
    "--workflow-profile",
    str(PROFILES / "generic"),
    "--cluster-generic-submit-cmd",
    SUBMIT,
    "--cluster-generic-status-cmd",
    str(Path(__file__).parent / "status.sh"),
    "--cluster-generic-cancel-cmd",
    "scancel",
    "--default-resources",
    "gpu=0",
    "slurm_partition=cpu",
    "--set-resources",
    "features:slurm_partition=gpu",
    "--max-status-checks-per-second",
    "10",
    "--seconds-between-status-checks",
    "1",
    "--latency-wait",
    "10",
)


@pytest.fixture(scope="session")
def local(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run on this machine, without SLURM."""
    folder = tmp_path_factory.mktemp("local")
    write_config(folder, small_dataset, device="auto")
    run = snakemake(folder, TABLE)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture
def folder(small_dataset: Path, tmp_path: Path) -> Path:
    write_config(tmp_path, small_dataset, device="auto")
    return tmp_path


def on_slurm(folder: Path, profile: tuple[str, ...]) -> subprocess.Popen[bytes]:
    """Start the run; what it says goes to run.log."""
    arguments = snakemake_command(folder, *profile, "--", TABLE)
    position = arguments.index("--cores")
    del arguments[position : position + 2]  # of one machine
    with open(folder / "run.log", "w") as log:
        return subprocess.Popen(arguments, stdout=log, stderr=log, cwd=folder)


def finish(run: subprocess.Popen[bytes], folder: Path) -> str:
    try:
        status = run.wait(500)
    finally:
        run.kill()
    text = (folder / "run.log").read_text()
    assert status == 0, text[-6000:]
    return text


def submitted(text: str) -> list[str]:
    """SLURM's job numbers in the log of a run."""
    return re.findall(r"(?:SLURM jobid|external jobid) '?(\d+)", text)


def description(job: str) -> str:
    """What SLURM knows of a job, with what was asked for."""
    return command("scontrol", "show", "job", "--details", job)


def wait_for(what: str, found: Callable[[], object], run: subprocess.Popen[bytes]) -> object:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and run.poll() is None:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come")


def extraction(folder: Path) -> psutil.Process | None:
    """The running process of rule features, of the run in this folder and of no other."""
    scripts = str(folder / ".snakemake" / "scripts")
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or ()
        if any(word.startswith(scripts) and word.endswith(".features.py") for word in words):
            return process
    return None


@pytest.mark.usefixtures("slurm")
def test_the_slurm_profile_gives_the_same_bytes_in_few_submissions(folder: Path, local: Path):
    text = finish(on_slurm(folder, SLURM), folder)
    assert reports(folder) == reports(local)
    jobs = int(re.findall(r"^(\d+) jobs: ", text, re.M)[0])
    numbers = submitted(text)
    print(f"{jobs} jobs, {len(numbers)} submissions: SLURM jobs {', '.join(numbers)}")
    assert jobs == 20
    # of each category index, features and speed, and all detectors
    assert len(numbers) == 2 + 2 + 2 + 1
    described = [description(number) for number in numbers]
    on_gpu = [text for text in described if "Partition=gpu" in text]
    assert len(on_gpu) == 2 + 2  # features and speed
    assert all(re.search(r"gres/gpu[=:]1|gpu:1", text) for text in on_gpu)
    assert not any("gpu:1" in text for text in described if text not in on_gpu)
    for job in described:
        wanted = r"JobId=\d+|Partition=\w+|NumCPUs=\d+|TimeLimit=[\d:-]+|TRES=\S+|JobState=\w+"
        print("  " + " ".join(re.findall(wanted, job)))


@pytest.mark.usefixtures("slurm")
def test_the_generic_profile_on_another_filesystem_survives_a_killed_job_and_a_killed_node(
    folder: Path, local: Path
):
    with mounted(folder / "results"):
        run = on_slurm(folder, GENERIC)
        victim = wait_for("the extraction", partial(extraction, folder), run)
        assert isinstance(victim, psutil.Process)
        victim.kill()
        psutil.wait_procs([victim])
        wait_for("the next extraction", partial(extraction, folder), run)
        kill_node()
        text = finish(run, folder)
        assert reports(folder) == reports(local)
    print(f"submissions through cluster-generic: SLURM jobs {', '.join(submitted(text))}")
    extractions = [job for job in map(description, submitted(text)) if "Partition=gpu" in job]
    assert len(extractions) == 3  # two categories, one of them twice
    memory = sorted(re.findall(r"TRES=\S*mem=(\w+)", " ".join(extractions)))
    assert len(set(memory)) == 2
    assert "Restarts=1" in " ".join(extractions)
    print(f"a job and the node were killed; memory of the extractions: {', '.join(memory)}")


def kill_node() -> None:
    """Kill -9 the node's daemon and all that it runs, then start it anew."""
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "slurmstepd":
            # the one first that would tell SLURM that its job has failed, not its node
            for job in (process, *process.children(recursive=True)):
                job.kill()
    psutil.Process(int(Path("/run/slurmd.pid").read_text())).kill()
    time.sleep(1)
    start_slurmd()
