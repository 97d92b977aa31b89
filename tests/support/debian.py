"""Debian's packages for tests that need a real program."""

import os
import subprocess
from collections.abc import Sequence


def install_packages(packages: Sequence[str]) -> str:
    """Install packages as root; what went wrong, empty for nothing."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    steps = (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages])
    for step in steps:
        run = subprocess.run(["apt-get", *step], env=environment, capture_output=True, text=True)
        if run.returncode:
            return f"apt-get {step[0]} failed: {run.stderr.strip()[-300:]}"
    return ""
