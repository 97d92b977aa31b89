"""What fits into this machine's memory."""

import os

from defectbench.errors import InputError


def refuse_beyond_memory(needed: int, remedy: str) -> None:
    """Refuse work that cannot fit, before it is begun.

    Parameters
    ----------
    needed
        Bytes.
    remedy
        What to change.

    Raises
    ------
    InputError
        If the machine has less memory than that.
    """
    present = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > present:
        raise InputError(
            f"{needed / 1e9:.1f} GB of memory are needed, this machine has {present / 1e9:.1f} GB: "
            f"{remedy}"
        )
