"""Pretrained CNNs by name: torchvision's, EfficientNet-Lite0 from pip, and any timm model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from defectbench.errors import InputError
from defectbench.features.torchvision_models import torchvision_model

TORCHVISION = ("resnet18", "resnet50", "wide_resnet50_2", "efficientnet_b5")
LITE0 = "efficientnet_lite0"
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
        network, mean, std = torchvision_model(name), IMAGENET_MEAN, IMAGENET_STD
    else:
        network = timm_model("tf_efficientnet_lite0" if name == LITE0 else name)
        mean, std = network.pretrained_cfg["mean"], network.pretrained_cfg["std"]
    state = _read_state_dict(weights)
    if name == LITE0 and "_conv_stem.weight" in state:
        state = _rename_in_order(state, network, weights)
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        difference = _difference(network.state_dict(), state)
        raise InputError(f"{weights}: does not fit backbone {name}: {difference}") from error
    return Backbone(network.eval(), tuple(mean), tuple(std))


def timm_model(name: str) -> torch.nn.Module:
    """Build a timm model by name, without weights.

    Raises
    ------
    InputError
        If timm has no such model.
    """
    import timm

    if not timm.is_model(name):
        raise InputError(
            f"backbone {name}: neither one of {(*TORCHVISION, LITE0)} nor in timm; name one of them"
        )
    return timm.create_model(name)


def _read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    refused = f"{path}: holds no weights, a state dict of tensors alone as torch.save writes it"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # of other files, the module raises errors of all kinds
        raise InputError(refused) from error
    if not isinstance(state, dict) or not all(torch.is_tensor(each) for each in state.values()):
        raise InputError(refused)
    return state


def _difference(wanted: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]) -> str:
    """How weights differ from those that a network has."""
    lacking, foreign = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    if lacking or foreign:
        counts = ((lacking, "of its entries are missing"), (foreign, "are none of its"))
        return ", ".join(f"{len(own)} {what}, such as {own[0]}" for own, what in counts if own)
    other = [name for name, tensor in wanted.items() if tensor.shape != state[name].shape]
    return f"{len(other)} of its entries have another shape, such as {other[0]}"


def _rename_in_order(
    state: dict[str, torch.Tensor], network: torch.nn.Module, path: Path
) -> dict[str, torch.Tensor]:
    """The package names its entries its own way; they follow timm's in order and shape."""
    wanted = network.state_dict()
    shapes = [tensor.shape for tensor in wanted.values()]
    if shapes != [tensor.shape for tensor in state.values()]:
        raise InputError(
            f"{path}: its entries are not those of EfficientNet-Lite0; name the right file"
        )
    return dict(zip(wanted, state.values(), strict=True))
