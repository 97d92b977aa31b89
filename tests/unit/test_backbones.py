"""Weights load strictly and safely; layers are tapped in one pass."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from defectbench.errors import InputError
from defectbench.features import weights
from defectbench.features.backbones import load_backbone
from defectbench.features.batch_norm import fold_batch_norm
from defectbench.features.feature_file import Tap
from defectbench.features.taps import TappedNetwork
from defectbench.features.weights import fetch_weights
from defectbench.provenance import file_sha256


@pytest.fixture(scope="module")
def lite0_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "efficientnet_lite0.pth"
    fetch_weights("efficientnet_lite0", path)
    return path


def test_torchvision_backbone_has_imagenet_normalisation(resnet18_weights: Path):
    backbone = load_backbone("resnet18", resnet18_weights)
    assert not backbone.network.training
    assert backbone.mean == (0.485, 0.456, 0.406)
    assert backbone.std == (0.229, 0.224, 0.225)


def test_lite0_recognises_with_the_weights_from_pip(lite0_weights: Path):
    backbone = load_backbone("efficientnet_lite0", lite0_weights)
    assert backbone.mean == (0.5, 0.5, 0.5)
    with torch.inference_mode():
        ball = torch.full((1, 3, 224, 224), -1.0)
        rows, columns = torch.meshgrid(torch.arange(224), torch.arange(224), indexing="ij")
        ball[0, 0, (rows - 112) ** 2 + (columns - 112) ** 2 < 70**2] = 0.9
        confidence = backbone.network(ball).softmax(1).max()
    assert confidence > 0.1  # random weights give about 0.001 for each of 1000 classes


def test_an_unknown_backbone_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="backbone resnet19"):
        load_backbone("resnet19", tmp_path / "w.pth")


def test_weights_of_another_model_are_refused(resnet18_weights: Path):
    with pytest.raises(InputError, match="does not fit backbone resnet50"):
        load_backbone("resnet50", resnet18_weights)


def test_a_missing_key_is_refused(resnet18_weights: Path, tmp_path: Path):
    state = torch.load(resnet18_weights, weights_only=True)
    del state["fc.bias"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"fc\.bias"):
        load_backbone("resnet18", tmp_path / "w.pth")


class Exploit:
    """Unpickling it would create a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


def test_a_pickle_is_never_executed(tmp_path: Path):
    (tmp_path / "w.pth").write_bytes(pickle.dumps(Exploit(tmp_path / "owned"), protocol=2))
    with pytest.raises(InputError, match="holds no weights, a state dict of tensors alone"):
        load_backbone("resnet18", tmp_path / "w.pth")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "write",
    [
        lambda file: file.write_text("hello"),
        lambda file: file.write_bytes(b""),
        lambda file: file.mkdir(),
        lambda file: file.write_bytes(np.random.default_rng(0).bytes(5000)),
        lambda file: torch.save([1, 2], file),
        lambda file: torch.save(torch.zeros(3), file),
        lambda file: torch.save({"a": 3}, file),
        lambda file: torch.save({"state_dict": {"a": torch.zeros(3)}}, file),
        lambda file: torch.save(torch.nn.Linear(2, 2), file),
    ],
)
def test_what_holds_no_weights_is_refused_in_one_line(write, tmp_path: Path):
    write(tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth: holds no weights") as refused:
        load_backbone("resnet18", tmp_path / "w.pth")
    assert "\n" not in str(refused.value)


def test_downloaded_weights_are_checked(
    resnet18_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(weights, "FACTS", tmp_path)
    monkeypatch.setattr(weights, "DOWNLOADS", tmp_path / "downloads")
    listing, address = tmp_path / "weights.csv", resnet18_weights.as_uri()
    listing.write_text(f"backbone,url,sha256_prefix\nresnet18,{address},00000000\n")
    with pytest.raises(InputError, match=r"SHA256 is [0-9a-f]+, expected 00000000"):
        fetch_weights("resnet18", tmp_path / "resnet18.pth")
    assert not (tmp_path / "resnet18.pth").exists()
    digest = file_sha256(resnet18_weights)[:8]
    listing.write_text(f"backbone,url,sha256_prefix\nresnet18,{address},{digest}\n")
    fetch_weights("resnet18", tmp_path / "resnet18.pth")
    assert (tmp_path / "resnet18.pth").read_bytes() == resnet18_weights.read_bytes()


def test_the_network_runs_no_further_than_the_deepest_tap(resnet18_weights: Path):
    network = load_backbone("resnet18", resnet18_weights).network
    network.layer4.register_forward_hook(lambda *_: pytest.fail("layer4 was run"))
    with torch.inference_mode():
        TappedNetwork(network, [Tap("layer1", 1), Tap("layer3", 1)])(torch.zeros(1, 3, 64, 64))


def test_an_unknown_layer_is_refused_with_those_there_are(resnet18_weights: Path):
    network = load_backbone("resnet18", resnet18_weights).network
    with pytest.raises(InputError, match=r"layer layer5: .*layer3"):
        TappedNetwork(network, [Tap("layer5", 1)])


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0", "test_resnet"])
def test_folding_batch_norm_leaves_none_and_keeps_the_function(
    name: str, resnet18_weights: Path, lite0_weights: Path, tiny: Path
):
    files = {"resnet18": resnet18_weights, "efficientnet_lite0": lite0_weights}
    network = load_backbone(name, files.get(name, tiny)).network
    last = [layer for layer, _ in network.named_modules()][-1]
    folded = fold_batch_norm(network, [Tap(last, 1)], (64, 64))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    batch = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, actual = network(batch), folded(batch)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


class SharedConvolution(torch.nn.Module):
    """Its convolution's output is read by a batch norm and by the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 3, 1)
        self.norm = torch.nn.BatchNorm2d(3)
        self.sum = torch.nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.convolution(x)
        return self.sum(x + self.norm(x))


def test_a_network_that_folding_would_change_is_left_alone():
    network = SharedConvolution().eval()
    network.norm.running_mean += 1
    assert fold_batch_norm(network, [Tap("sum", 1)], (8, 8)) is network


class OneSize(torch.nn.Module):
    """A convolutional network that takes images of 8×8 alone."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 4, 3)
        self.norm = torch.nn.BatchNorm2d(4)
        self.head = torch.nn.Linear(4 * 6 * 6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.convolution(x)).flatten(1))


def test_folding_probes_the_size_that_is_used():
    folded = fold_batch_norm(OneSize().eval(), [Tap("head", 1)], (8, 8))
    assert isinstance(folded.norm, torch.nn.Identity)
