"""Refuses a Snakemake of which this workflow has not been tested.

The terminal (`terminal`), the receipts (`planning`), the timers at the exit (`timers`) and settings
of a module (``rules/setup.smk``) reach into private parts of Snakemake, which may change with any
minor version. A patch release is taken as it comes.
"""

import importlib.metadata
from pathlib import Path

from defectbench.errors import InputError

REQUIREMENTS = Path(__file__).parents[3] / "envs" / "requirements.txt"


def check_snakemake(requirements: Path = REQUIREMENTS) -> None:
    """Refuse another minor version than the one that the requirements pin.

    Raises
    ------
    InputError
        Naming both versions and what to do.
    """
    lines = requirements.read_text(encoding="utf-8").splitlines()
    (tested,) = (line.split("==")[1] for line in lines if line.startswith("snakemake=="))
    installed = importlib.metadata.version("snakemake")
    if installed.split(".")[:2] != tested.split(".")[:2]:
        raise InputError(
            f"Snakemake {installed} is installed, and this workflow is tested with {tested}: "
            f"pip install snakemake=={tested} (to try another version, change that line of "
            f"{requirements} and run `make test`)"
        )
