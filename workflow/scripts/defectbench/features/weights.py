"""ImageNet weights of a backbone: downloaded, or from the package that carries them."""

import importlib.util
import io
import shutil
from pathlib import Path

from defectbench.atomic import atomic_path
from defectbench.errors import InputError
from defectbench.provenance import FACTS, file_sha256
from defectbench.sources.fetching import DOWNLOADS, download
from defectbench.storage import read_csv

PACKAGE = "package:"
"""In the list of addresses, what stands before the name of a Python package."""


def fetch_weights(name: str, output: Path) -> None:
    """Put a backbone's ImageNet weights at `output`, checked, complete or not at all.

    Parameters
    ----------
    name
        The backbone. One that is not in the list is asked of timm.
    output
        File to make. What was downloaded stays, so that making it again fetches nothing.

    Raises
    ------
    InputError
        If they cannot be had or have the wrong hash; the config's ``backbones`` section takes a
        local file in their place.
    """
    listed = listed_weights().get(name)
    if listed is None:
        _save_timm(name, output)
        return
    url, digest = listed["url"], listed["sha256_prefix"]
    if url.startswith(PACKAGE):
        file = _file_of_package(name, url.removeprefix(PACKAGE), digest)
    else:
        file = DOWNLOADS / url.rsplit("/", 1)[-1]
        try:
            download([url], file, algorithm="sha256", digest=digest)
        except InputError as error:
            raise InputError(
                f"backbone {name}: {error}\nFetch it by other means and set "
                f"backbones.{name}.weights to the file"
            ) from error
    with atomic_path(output) as part:
        shutil.copyfile(file, part)


def listed_weights() -> dict[str, dict[str, str]]:
    """Rows of the list of weights by backbone: ``url``, ``sha256_prefix``."""
    return {row["backbone"]: row for row in read_csv(FACTS / "weights.csv")}


def _file_of_package(name: str, package: str, digest: str) -> Path:
    """The weights that a Python package carries."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise InputError(f"backbone {name}: the package {package} is not installed; install it")
    (file,) = Path(found.origin).parent.glob("models/*.pth")
    if not file_sha256(file).startswith(digest):
        raise InputError(f"{file}: SHA-256 does not begin with {digest}; install the package again")
    return file


def _save_timm(name: str, output: Path) -> None:
    import timm  # takes seconds
    import torch

    if not timm.is_model(name):
        raise InputError(f"backbone {name}: neither listed nor a model of timm; name another")
    try:
        state = timm.create_model(name, pretrained=True).state_dict()
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"backbone {name}: weights cannot be fetched ({error}); "
            f"set backbones.{name}.weights to a local file"
        ) from error
    buffer = io.BytesIO()  # torch.save writes a file's name into it, a buffer has none
    torch.save(state, buffer)
    with atomic_path(output) as part:
        part.write_bytes(buffer.getvalue())
