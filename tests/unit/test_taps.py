"""A tap gives its layer's own output, with its place in the image where it has one."""

import pytest
import torch

from defectbench.config.shapes import stride_of
from defectbench.errors import InputError
from defectbench.features.batch_norm import fold_batch_norm
from defectbench.features.feature_file import Tap
from defectbench.features.taps import TappedNetwork, feature_map
from defectbench.provenance import FACTS
from defectbench.storage import read_json

SIDE = 64
BACKBONES = read_json(FACTS / "backbone_layers.json")


def random_network(name: str) -> torch.nn.Module:
    """A network as nobody trained it: no batch norm is near the identity."""
    import timm
    from torchvision.models import get_model

    torch.manual_seed(42)
    lite0 = name == "efficientnet_lite0"
    network = timm.create_model("tf_efficientnet_lite0") if lite0 else get_model(name)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.running_mean, 0, 0.2)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    return network.eval()


def own_outputs(network: torch.nn.Module, batch: torch.Tensor) -> dict[str, torch.Tensor]:
    """First output of every module that the forward pass calls."""
    outputs: dict[str, torch.Tensor] = {}

    def keep(name: str):
        def hook(module, inputs, output):
            outputs.setdefault(name, output.clone())

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in network.named_modules()]
    with torch.inference_mode():
        network(batch)
    for hook in hooks:
        hook.remove()
    return outputs


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_tap_gives_its_layers_own_output_whatever_is_folded(backbone: str):
    network = random_network(backbone)
    batch = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    expected = own_outputs(network, batch)
    modules = dict(network.named_modules())
    layers = [name for name in modules if name in expected and name]
    assert layers == list(BACKBONES[backbone])
    strides = {
        name: SIDE // found.shape[-1]
        for name in layers
        if (found := feature_map(expected[name], network, (SIDE, SIDE))) is not None
    }
    assert strides == {name: known for name in layers if (known := stride_of(backbone, name))}
    convolutions = [name for name in layers if isinstance(modules[name], torch.nn.Conv2d)]
    norms = [name for name in layers if isinstance(modules[name], torch.nn.BatchNorm2d)]
    # tapped and folded convolutions side by side, then the other way round
    groups = [set(layers) - set(convolutions[::2]), convolutions[::2]]
    largest = 0.0
    for group in groups:
        taps = [Tap(name, 1) for name in group]
        folded = fold_batch_norm(network, taps, (SIDE, SIDE))
        left = [isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules()]
        assert sum(left) < len(norms)
        with torch.inference_mode():
            found = TappedNetwork(folded, taps)(batch)
        for tap, values in found.items():
            own = expected[tap.layer].flatten(1)
            deviation = (values.flatten(1) - own).abs().max() / own.abs().max()
            largest = max(largest, deviation.item())
    print(f"{backbone}: {len(layers)} layers, largest deviation {largest:.1e}")
    assert largest < 2e-5


def test_a_container_that_hands_on_its_convolutions_output_is_not_folded_into():
    network = torch.nn.Sequential(
        torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)), torch.nn.BatchNorm2d(4)
    ).eval()
    network[1].running_mean += 1
    taps = [Tap("0", 1), Tap("1", 1)]
    batch = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found = TappedNetwork(fold_batch_norm(network, taps, (8, 8)), taps)(batch)
        torch.testing.assert_close(found[taps[0]], network[0](batch))
        torch.testing.assert_close(found[taps[1]], network(batch))


def test_a_layer_called_twice_gives_its_first_output_whatever_else_is_tapped():
    network = random_network("resnet18")
    batch = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    relu = Tap("layer1.0.relu", 1)
    with torch.inference_mode():
        alone = TappedNetwork(network, [relu])(batch)[relu]
        beside = TappedNetwork(network, [relu, Tap("layer2", 1)])(batch)[relu]
        block = network.layer1[0]
        stem = network.maxpool(network.relu(network.bn1(network.conv1(batch))))
        torch.testing.assert_close(alone, torch.relu(block.bn1(block.conv1(stem))))
    assert torch.equal(alone, beside)


def test_maps_keep_their_place_and_vectors_have_none():
    network = random_network("resnet18")
    taps = [Tap("layer3", 2), Tap("layer2", 1), Tap("avgpool", 1), Tap("fc", 1)]
    with torch.inference_mode():
        found = TappedNetwork(network, taps)(torch.zeros(2, 3, SIDE, SIDE))
    shapes = [tuple(found[tap].shape) for tap in taps]
    assert shapes == [(2, 256, 2, 2), (2, 128, 8, 8), (2, 512), (2, 1000)]


def test_pooling_what_has_no_place_is_refused():
    network = random_network("resnet18")
    with pytest.raises(InputError, match=r"layer avgpool: .*\(512, 1, 1\).*pool: 1"):
        TappedNetwork(network, [Tap("avgpool", 2)])(torch.zeros(1, 3, SIDE, SIDE))


def test_a_pool_larger_than_the_map_is_refused():
    network = random_network("resnet18")
    with pytest.raises(InputError, match=r"layer layer3: pool: 8 .* 4×4"):
        TappedNetwork(network, [Tap("layer3", 8)])(torch.zeros(1, 3, SIDE, SIDE))


def test_a_layer_that_the_forward_pass_leaves_out_is_refused():
    network = random_network("efficientnet_lite0")
    with pytest.raises(InputError, match=r"blocks\.0\.0\.drop_path.*does not use"):
        TappedNetwork(network, [Tap("blocks.0.0.drop_path", 1)])(torch.zeros(1, 3, SIDE, SIDE))


def test_tokens_of_a_transformer_come_back_to_their_patches():
    import timm

    network = timm.create_model("test_vit").eval()
    side, (rows, columns) = network.patch_embed.img_size[0], network.patch_embed.grid_size
    batch = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    taps = [Tap("blocks.1", 1), Tap("blocks.1", 2), Tap("fc_norm", 1)]
    with torch.inference_mode():
        tokens = own_outputs(network, batch)["blocks.1"]
        found = TappedNetwork(network, taps)(batch)
    assert network.num_prefix_tokens == 1
    for row, column in [(0, 0), (0, columns - 1), (rows - 1, 0)]:
        token = tokens[:, 1 + row * columns + column]
        assert torch.equal(found[taps[0]][:, :, row, column], token)
    assert found[taps[1]].shape[2:] == (rows // 2, columns // 2)
    assert found[taps[2]].ndim == 2


def channels_last(channels: int, side: int) -> torch.nn.Module:
    """A network that ends with channels last, as Swin transformers keep them."""

    class Last(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Conv2d(3, channels, 4, stride=4)
            self.norm = torch.nn.LayerNorm(channels)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(self.embed(x).permute(0, 2, 3, 1))

    return Last().eval()


def test_channels_that_come_last_are_brought_first():
    network = channels_last(6, SIDE)
    batch = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        (found,) = TappedNetwork(network, [Tap("norm", 2)])(batch).values()
        pooled = torch.nn.functional.avg_pool2d(network(batch).permute(0, 3, 1, 2), 2)
    assert found.shape == (2, 6, 8, 8)
    torch.testing.assert_close(found, pooled)


def test_a_cube_in_a_network_of_both_layouts_has_no_known_place():
    network, batch = channels_last(16, SIDE), torch.zeros(2, 3, SIDE, SIDE)
    with torch.inference_mode():
        (found,) = TappedNetwork(network, [Tap("norm", 1)])(batch).values()
        assert found.shape == (2, 16 * 16 * 16)
        with pytest.raises(InputError, match="no known place"):
            TappedNetwork(network, [Tap("norm", 2)])(batch)


def test_a_network_of_convolutions_alone_keeps_a_cube():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 4, stride=4)).eval()
    with torch.inference_mode():
        (found,) = TappedNetwork(network, [Tap("0", 2)])(torch.zeros(2, 3, SIDE, SIDE)).values()
    assert found.shape == (2, 16, 8, 8)


def test_what_is_no_tensor_per_image_is_refused():
    network = torch.nn.Sequential(torch.nn.Flatten(0), torch.nn.Unflatten(0, (6, -1))).eval()
    with pytest.raises(InputError, match="layer 0: gives no tensor with one entry per image"):
        TappedNetwork(network, [Tap("0", 1)])(torch.zeros(2, 3, SIDE, SIDE))
