"""A SLURM of one machine, installed from Debian's packages and started on loopback."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import psutil
from debian import install_packages

CONFIGURED = Path(__file__).parents[1] / "slurm"
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
CONFIGURATION = Path("/etc/slurm")
STATE = (Path("/var/spool/slurmctld"), Path("/var/spool/slurmd"))
DAEMONS = ("slurmctld", "slurmd", "slurmstepd", "munged")


def command(*arguments: str) -> str:
    """Output of a command that must succeed."""
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout


def start_slurmd() -> None:
    command("slurmd")


def install() -> str:
    """Why SLURM cannot be had here, empty if it can."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return "installing SLURM needs root and Debian's apt-get"
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # where Debian puts the daemons
    ours = (CONFIGURED / "slurm.conf").read_text()
    there = CONFIGURATION / "slurm.conf"
    if there.exists() and there.read_text() != ours:
        return f"{there} is of another SLURM, which is left alone"
    if any(shutil.which(name) is None for name in ("slurmctld", "slurmd", "sbatch", "munged")):
        return install_packages(PACKAGES)
    return ""


def start() -> None:
    """Start a SLURM that knows of no job: a test run that was killed may have left some."""
    end_daemons()
    for folder in STATE:
        shutil.rmtree(folder, ignore_errors=True)
    for name in ("slurm.conf", "gres.conf"):
        shutil.copy(CONFIGURED / name, CONFIGURATION / name)
    for folder in (*STATE, Path("/var/log/slurm")):
        command("install", "-d", str(folder))
    command("install", "-d", "-o", "munge", "-g", "munge", "-m755", "/run/munge")
    command("runuser", "-u", "munge", "--", shutil.which("munged") or "/usr/sbin/munged", "--force")
    command("slurmctld")
    start_slurmd()
    for _ in range(60):
        state = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True).stdout
        if "idle" in state:
            return
        time.sleep(0.5)
    raise AssertionError(f"the node does not become idle: {state}")


def end_daemons() -> None:
    daemons = [p for p in psutil.process_iter(["name"]) if p.info["name"] in DAEMONS]
    for process in daemons:
        process.terminate()
    for process in psutil.wait_procs(daemons, timeout=10)[1]:
        process.kill()


def stop() -> None:
    end_daemons()
    (CONFIGURATION / "slurm.conf").unlink()
    (CONFIGURATION / "gres.conf").unlink()
