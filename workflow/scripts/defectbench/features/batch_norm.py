"""Batch norms folded into the convolutions before them."""

import copy
from collections import Counter

import torch
from torch.nn.utils.fusion import fuse_conv_bn_eval

FOLD_TOLERANCE = 1e-4


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
