"""A file that is complete or absent."""

import contextlib
import glob
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Temporary file beside `path`, renamed to it when the block ends without an error.

    Who may read it is up to the umask, as for any file that a program opens.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    for left_over in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
        left_over.unlink(missing_ok=True)  # of a run that was killed
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    part.touch(exist_ok=False)
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
