"""What is called as a file is and is none: a read of it may never end."""

import os


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether something is there that is no file: a pipe, a device, a folder."""
    return os.path.exists(path) and not os.path.isfile(path)
