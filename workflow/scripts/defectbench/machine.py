"""What a measured time must name: the machine, and how much of it other programs took."""

import os
import platform
import re
import time
from pathlib import Path

COMMAND = "DEFECTBENCH_COMMAND"
"""Variable of the environment in which a run tells its jobs how it was called."""


def machine_name() -> str:
    """Processor and number of CPUs of this machine."""
    info = Path("/proc/cpuinfo")  # of Linux alone
    named = re.search(r"^model name\s*: (.*)", info.read_text() if info.exists() else "", re.M)
    processor = named[1].strip() if named else platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} CPUs"


class OtherPrograms:
    """The share of all CPUs that other programs take from now on."""

    def __init__(self) -> None:
        self._start = _clocks()

    def share(self) -> float | None:
        """0 to 1, to the tick of the system's clocks; None where the system does not tell."""
        now = _clocks()
        if self._start is None or now is None:
            return None
        busy, idle, own = (new - old for new, old in zip(now, self._start, strict=True))
        return min(1.0, max(0.0, busy - own) / max(busy + idle, 1e-9))


def _clocks() -> tuple[float, float, float] | None:
    """Seconds since the start: of all CPUs, busy and idle, and of this process."""
    try:
        first = Path("/proc/stat").read_text().splitlines()[0]  # of Linux alone
    except OSError:
        return None
    # user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already
    ticks = [int(value) / os.sysconf("SC_CLK_TCK") for value in first.split()[1:9]]
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, idle, time.process_time()
