"""Pretrained CNNs by name: torchvision's, EfficientNet-Lite0 from pip, and any timm model."""

import copy
import pickle  # for the error's name alone: nothing is unpickled here
import sys
import types
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.utils.fusion import fuse_conv_bn_eval

from defectbench.errors import InputError

TORCHVISION = ("resnet18", "resnet50", "wide_resnet50_2", "efficientnet_b5")
LITE0 = "efficientnet_lite0"
FOLD_TOLERANCE = 1e-4
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
        network, mean, std = _torchvision_model(name), IMAGENET_MEAN, IMAGENET_STD
    else:
        network = timm_model("tf_efficientnet_lite0" if name == LITE0 else name, pretrained=False)
        mean, std = network.pretrained_cfg["mean"], network.pretrained_cfg["std"]
    state = _read_state_dict(weights)
    if name == LITE0 and "_conv_stem.weight" in state:
        state = _rename_in_order(state, network, weights)
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise InputError(f"{weights}: does not fit backbone {name}: {error}") from error
    return Backbone(network.eval(), tuple(mean), tuple(std))


def timm_model(name: str, pretrained: bool) -> torch.nn.Module:
    """Build a timm model by name, with its own ImageNet weights if `pretrained`.

    Raises
    ------
    InputError
        If timm has no such model or cannot fetch its weights.
    """
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


def fold_batch_norm(network: torch.nn.Module) -> torch.nn.Module:
    """Fold each batch norm into the convolution whose output it alone receives.

    In eval mode both are affine, so the folded network computes the same function with less work;
    rounding moves features by about 1e-6 of their largest. Which batch norm follows which
    convolution is read off a forward pass, and a second one checks the result.

    Parameters
    ----------
    network
        In eval mode, on the CPU, float32. It is not changed.

    Returns
    -------
    Module
        A folded copy; the network itself if folding does not reproduce its output.
    """
    if not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules()):
        return network  # transformers, some of which take no image of another size
    probe = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(42))
    folded = copy.deepcopy(network)
    with torch.no_grad():
        expected = network(probe)
        for convolution, norm_name in _convolution_norm_pairs(folded, probe):
            norm = folded.get_submodule(norm_name)
            fused = fuse_conv_bn_eval(convolution, norm)
            convolution.weight, convolution.bias = fused.weight, fused.bias
            # timm's batch norms carry their activation
            rest = torch.nn.Sequential(norm.drop, norm.act) if hasattr(norm, "act") else None
            folded.set_submodule(norm_name, rest or torch.nn.Identity())
        actual = folded(probe)
    largest = expected.abs().max()
    return folded if (actual - expected).abs().max() <= FOLD_TOLERANCE * largest else network


def _convolution_norm_pairs(
    network: torch.nn.Module, probe: torch.Tensor
) -> list[tuple[torch.nn.Conv2d, str]]:
    """Convolutions called once, whose output goes to one batch norm and to no other module."""
    alive: list[torch.Tensor] = []  # an id stays a tensor's own only while the tensor lives
    outputs: dict[int, torch.nn.Conv2d] = {}
    calls: Counter[torch.nn.Module] = Counter()
    readers: dict[int, list[str]] = {}
    hooks = []
    for name, module in network.named_modules():
        if next(module.children(), None) is None or isinstance(module, torch.nn.BatchNorm2d):

            def note_input(module, inputs, name=name):
                if inputs:
                    alive.append(inputs[0])
                    readers.setdefault(id(inputs[0]), []).append(name)

            hooks.append(module.register_forward_pre_hook(note_input))
        if isinstance(module, torch.nn.Conv2d):

            def note_output(module, inputs, output):
                calls[module] += 1
                alive.append(output)
                outputs[id(output)] = module

            hooks.append(module.register_forward_hook(note_output))
    network(probe)
    for hook in hooks:
        hook.remove()
    return [
        (convolution, readers[output][0])
        for output, convolution in outputs.items()
        if calls[convolution] == 1
        and len(readers.get(output, ())) == 1
        and isinstance(network.get_submodule(readers[output][0]), torch.nn.BatchNorm2d)
    ]


def _torchvision_model(name: str) -> torch.nn.Module:
    """Build a torchvision model without weights, and without importing PyTorch's compiler.

    One detection operator of torchvision imports the compiler to ask whether it can be used; that
    takes longer than all else that the start of an extraction imports, and a CNN never asks.
    """
    names = ("torch._dynamo", "torch._dynamo.utils")
    absent = [name for name in names if name not in sys.modules]
    for module in absent:
        sys.modules[module] = types.ModuleType(module)
        sys.modules[module].is_compile_supported = lambda device: False
    try:
        from torchvision.models import get_model
    finally:
        for module in absent:
            del sys.modules[module]
    return get_model(name, weights=None)


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
