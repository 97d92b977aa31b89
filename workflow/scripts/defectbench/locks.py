"""Locks on files, which the system releases when a process ends, however it ends."""

import errno
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

WITHOUT_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
"""What file systems without locks answer, as some shares in a network do."""


def lock(file: IO | int, wait: bool) -> bool:
    """Lock an open file until it is closed; whether its file system has locks.

    Parameters
    ----------
    file
        Open for writing, or its descriptor.
    wait
        Whether to wait for the process that has locked it.

    Raises
    ------
    BlockingIOError
        If another process has locked it, and this one is not to wait.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        return False
    return True
