"""How many CPUs this process may use, which in a container can be fewer than the machine has."""

import os


def usable_cpus() -> int:
    """At least one."""
    if hasattr(os, "sched_getaffinity"):  # Linux alone
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1
