"""Memory that the C library keeps instead of handing it back to the kernel."""

import ctypes
import sys

M_TRIM_THRESHOLD = -1  # glibc's malloc.h
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
KEEP_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Make glibc reuse large blocks within the process; does nothing with another C library.

    Every layer of a network frees activations of tens of megabytes. By default they go back to
    the kernel and are faulted in again, zeroed page by page: up to a third of a CPU pass's time.
    """
    if sys.platform.startswith("linux"):
        library = ctypes.CDLL(None)
        if hasattr(library, "mallopt"):
            library.mallopt(M_MMAP_THRESHOLD, KEEP_BYTES)
            library.mallopt(M_TRIM_THRESHOLD, KEEP_BYTES)
            library.mallopt(M_ARENA_MAX, 1)  # the others, one per thread, keep less
