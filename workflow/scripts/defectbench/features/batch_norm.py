"""Batch norms folded into the convolutions before them.

Tracing the network (torch.fx) would tell which norm follows which convolution, but it fails on the
control flow of many of timm's models. So one forward pass is watched through hooks instead: a norm
follows a convolution if it reads the very tensor that the convolution made.
"""

import contextlib
import copy
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Sequence
from functools import partial

import torch
from torch.nn.utils.fusion import fuse_conv_bn_eval

from defectbench.features.feature_file import Tap
from defectbench.features.taps import TappedNetwork

FOLD_TOLERANCE = 1e-4


def fold_batch_norm(
    network: torch.nn.Module, taps: Sequence[Tap], shape: Sequence[int]
) -> torch.nn.Module:
    """Fold each batch norm into the convolution whose output it alone receives.

    In eval mode both are affine, so the folded network computes the same function with less work;
    rounding moves features by about 1e-6 of their largest. A tapped convolution keeps what it was,
    for `taps.own_output`: left unfolded, it would move the features of every tap behind it, which
    then would depend on what else is tapped. Which batch norm follows which convolution is read off
    a forward pass, and a second one checks that every tap gives what it gave before.

    Parameters
    ----------
    network
        In eval mode, on the CPU, float32. It is not changed.
    taps
        What will be read from it.
    shape
        Height and width of the images that it will be given: some networks take one size alone.

    Returns
    -------
    Module
        A folded copy; the network itself if folding does not reproduce what the taps give.
    """
    probe = torch.randn(1, 3, *shape, generator=torch.Generator().manual_seed(42))
    with torch.no_grad():
        pairs, expected = _convolution_norm_pairs(network, taps, probe)
        if not pairs:
            return network
        folded = copy.deepcopy(network)
        for tapped in {tap.layer for tap in taps} & {convolution for convolution, _ in pairs}:
            convolution = folded.get_submodule(tapped)
            convolution.unfolded = copy.deepcopy(convolution)
        for convolution_name, norm_name in pairs:
            _fold(folded, convolution_name, norm_name)
        actual = TappedNetwork(folded, taps)(probe)
    equal = all(_is_close(actual[tap], expected[tap]) for tap in expected)
    return folded if equal else network


def _fold(network: torch.nn.Module, convolution_name: str, norm_name: str) -> None:
    convolution = network.get_submodule(convolution_name)
    norm = network.get_submodule(norm_name)
    fused = fuse_conv_bn_eval(convolution, norm)
    convolution.weight, convolution.bias = fused.weight, fused.bias
    rest: torch.nn.Module = torch.nn.Identity()
    if hasattr(norm, "act"):  # timm's batch norms carry their activation
        rest = torch.nn.Sequential(OrderedDict(drop=norm.drop, act=norm.act))
    network.set_submodule(norm_name, rest)


def _is_close(actual: torch.Tensor, expected: torch.Tensor) -> bool:
    return bool((actual - expected).abs().max() <= FOLD_TOLERANCE * expected.abs().max())


def _convolution_norm_pairs(
    network: torch.nn.Module, taps: Sequence[Tap], probe: torch.Tensor
) -> tuple[list[tuple[str, str]], dict[Tap, torch.Tensor]]:
    """Convolutions called once, whose output goes to one batch norm and no other module.

    Nor may a tapped container hand it on as its own. Beside them stands what the taps gave. Only
    what runs before the deepest tap is looked at.
    """
    # Python gives the id of a freed tensor to the next one, so all that were seen stay alive
    alive: list[torch.Tensor] = []
    made_by: dict[int, str] = {}
    calls: Counter[str] = Counter()
    readers: defaultdict[int, list[str]] = defaultdict(list)
    handed_on: set[int] = set()
    layers = {tap.layer for tap in taps}
    norms = {name for name, m in network.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}

    def note_input(name, module, inputs):
        # a container hands its input on to its parts, which are watched themselves; timm's batch
        # norms are containers too, for they carry their activation
        if inputs and (next(module.children(), None) is None or name in norms):
            alive.append(inputs[0])
            readers[id(inputs[0])].append(name)

    def note_output(name, module, inputs, output):
        alive.append(output)
        if isinstance(module, torch.nn.Conv2d):
            calls[name] += 1
            made_by[id(output)] = name
        elif name in layers:
            handed_on.add(id(output))

    with contextlib.ExitStack() as hooks:
        for name, module in network.named_modules():
            hooks.enter_context(module.register_forward_pre_hook(partial(note_input, name)))
            hooks.enter_context(module.register_forward_hook(partial(note_output, name)))
        expected = TappedNetwork(network, taps)(probe)
    return [
        (name, readers[output][0])
        for output, name in made_by.items()
        if calls[name] == 1
        and output not in handed_on
        and len(readers[output]) == 1
        and readers[output][0] in norms
    ], expected
