"""Convolutions on a CPU by oneDNN, with weights that are put in its order once.

Why: PyTorch hands oneDNN the weights as the network holds them, and oneDNN puts them in the order
that it computes with, again for every batch. And on one thread alone PyTorch takes a way of its own
for 1×1 convolutions, which is slower and rounds in another way.

What it gains: a tenth of a ResNet's time, up to three quarters of a 1×1 convolution's; and the same
bytes of features for any number of threads, on which receipts and tables rely.

When it may go: when `torch.compile` or another public way keeps reordered weights without compiling
for minutes, and ``test_features_do_not_depend_on_the_number_of_threads`` passes without it. The two
operators below are private to PyTorch; the tests of extraction fail when they change.
"""

import copy
from types import MethodType

import torch


def use_onednn(network: torch.nn.Module) -> None:
    """Have oneDNN compute every convolution of a network in float32 on a CPU."""
    for module in network.modules():
        if type(module) is torch.nn.Conv2d and _pads_with_zeros(module):
            module.ordered_weights = []
            module.forward = MethodType(_convolve, module)


def copy_sharing_weights(network: torch.nn.Module) -> torch.nn.Module:
    """A copy whose layers can be watched apart from those of the other copies."""
    # weights are ordered when the first batch comes, by whichever copy it comes to: all copies
    # share the lists which then hold them
    ordered = [m.ordered_weights for m in network.modules() if hasattr(m, "ordered_weights")]
    shared = [*network.parameters(), *network.buffers(), *ordered]
    return copy.deepcopy(network, {id(each): each for each in shared})


def _pads_with_zeros(layer: torch.nn.Conv2d) -> bool:
    return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)


def _convolve(layer: torch.nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    settings = layer.padding, layer.stride, layer.dilation, layer.groups
    if not layer.ordered_weights:  # the best order depends on the size of what comes in
        order = torch.ops.mkldnn._reorder_convolution_weight
        layer.ordered_weights.append(order(layer.weight, *settings, x.shape))
    weights = layer.ordered_weights[0]
    return torch.ops.mkldnn._convolution_pointwise(
        x, weights, layer.bias, *settings, "none", [], None
    )
