"""Files from the network."""

import shutil
import urllib.request
from pathlib import Path

from defectbench.errors import InputError

TIMEOUT_SECONDS = 60


def download(url: str, path: Path) -> None:
    """Fetch an address into a file.

    Raises
    ------
    InputError
        If it cannot be reached.
    """
    try:
        with (
            urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response,
            open(path, "wb") as stream,
        ):
            shutil.copyfileobj(response, stream, 1 << 20)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InputError(f"{url}: download failed: {error}") from error
