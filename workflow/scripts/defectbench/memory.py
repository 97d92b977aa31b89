"""How much memory there is, and the one line that refuses work which needs more."""

import contextlib
import os
import resource
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from defectbench.errors import BeyondMemoryError

BLOCK_BYTES = 1 << 27
"""Of features or maps that a stage holds at once, where they are read from disk."""


_of_no_machine = ContextVar("of_no_machine", default=False)


@contextlib.contextmanager
def of_no_machine() -> Iterator[None]:
    """Within the block there is no limit: a cluster has nodes that are not known here.

    The machine that plans may be small, and an analysis must not be asked too little memory for.
    """
    token = _of_no_machine.set(True)
    try:
        yield
    finally:
        _of_no_machine.reset(token)


def memory_limit() -> int:
    """Memory that this process can have, in bytes.

    The smallest of the machine's memory, what the process's control groups allow (both versions of
    Linux's interface), and the limit of its address space (``ulimit -v``).
    """
    if _of_no_machine.get():
        return sys.maxsize
    addresses, _ = resource.getrlimit(resource.RLIMIT_AS)
    limited = addresses != resource.RLIM_INFINITY
    return min(addresses, memory_around()) if limited else memory_around()


@cache
def memory_around() -> int:
    """Memory of the machine, or what control groups allow, in bytes; read once, for it takes 1 ms.

    A small detector is fitted in a few.
    """
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([physical, *cgroup_limits(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))])


def cgroup_limits(membership: Path, root: Path) -> Iterator[int]:
    """Limits in bytes of the control groups that a process is in, and of all groups around them.

    Parameters
    ----------
    membership
        The process's ``cgroup`` file; there is none on systems without control groups.
    root
        Where the hierarchy is mounted.
    """
    lines = membership.read_text().splitlines() if membership.exists() else []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            top, name = root, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = top / path.lstrip("/")
        # inside a container the path may be the host's, of which only the top is to be seen
        for folder in (group, *group.parents):
            if folder.is_relative_to(top) and (folder / name).is_file():
                text = (folder / name).read_text().strip()
                if text != "max":
                    yield int(text)


def refuse_beyond_memory(needed: int, remedy: str, work: str = "") -> None:
    """Refuse work that cannot fit, before it is begun.

    Parameters
    ----------
    needed
        Bytes.
    remedy
        What to change.
    work
        What needs it, where the job's name does not stand beside the message.

    Raises
    ------
    BeyondMemoryError
        If this process can have less memory than that.
    """
    present = memory_limit()
    if needed > present:
        sizes = f"{needed / 1e9:.1f} GB of memory are needed, {present / 1e9:.1f} GB can be had"
        raise BeyondMemoryError(": ".join(filter(None, (work, sizes, remedy))))
