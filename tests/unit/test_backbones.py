"""Weights load strictly and safely; layers are tapped in one pass."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import resnet18

from defectbench import backbones
from defectbench.backbones import fetch_weights, load_backbone
from defectbench.errors import InputError
from defectbench.features import Tap, TappedNetwork, extract_features, select_device
from defectbench.storage import create_array, create_h5, open_h5


@pytest.fixture(scope="module")
def resnet18_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ResNet-18 with seeded random weights."""
    torch.manual_seed(42)
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(resnet18(weights=None).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def lite0_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "efficientnet_lite0.pth"
    fetch_weights("efficientnet_lite0", Path("unused.csv"), path)
    return path


def images(count: int, side: int = 64) -> np.ndarray:
    return np.random.default_rng(42).integers(0, 256, (count, side, side, 3), np.uint8)


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


def test_any_timm_model_can_be_a_backbone(tmp_path: Path):
    import timm

    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "w.pth")
    assert load_backbone("test_resnet", tmp_path / "w.pth").network.num_classes == 1000


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
    with pytest.raises(InputError, match="not a state dict of tensors alone"):
        load_backbone("resnet18", tmp_path / "w.pth")
    assert not (tmp_path / "owned").exists()


def test_downloaded_weights_are_checked(
    resnet18_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    listing = tmp_path / "weights.csv"
    prefix = backbones.file_sha256(resnet18_weights)[:8]
    for expected in (prefix, "00000000"):
        listing.write_text(
            f"backbone,url,sha256_prefix\nresnet18,{resnet18_weights.as_uri()},{expected}\n"
        )
        output = tmp_path / expected / "resnet18.pth"
        if expected == prefix:
            fetch_weights("resnet18", listing, output)
            assert output.read_bytes() == resnet18_weights.read_bytes()
        else:
            with pytest.raises(InputError, match="SHA-256 does not start with 00000000"):
                fetch_weights("resnet18", listing, output)
            assert not output.exists()


def test_taps_equal_the_layers_outputs(resnet18_weights: Path):
    network = load_backbone("resnet18", resnet18_weights).network
    batch = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(42))
    with torch.inference_mode():
        stem = network.maxpool(network.relu(network.bn1(network.conv1(batch))))
        layer2 = network.layer2(network.layer1(stem))
        layer3 = network.layer3(layer2)
        pooled = torch.nn.functional.avg_pool2d(layer3, 2)
        found = TappedNetwork(network, [Tap("layer2", 1), Tap("layer3", 2)])(batch)
    torch.testing.assert_close(found[Tap("layer2", 1)], layer2.flatten(1))
    torch.testing.assert_close(found[Tap("layer3", 2)], pooled.flatten(1))


def test_the_network_runs_no_further_than_the_deepest_tap(resnet18_weights: Path):
    network = load_backbone("resnet18", resnet18_weights).network
    network.layer4.register_forward_hook(lambda *_: pytest.fail("layer4 was run"))
    with torch.inference_mode():
        TappedNetwork(network, [Tap("layer1", 1), Tap("layer3", 1)])(torch.zeros(1, 3, 64, 64))


def test_an_unknown_layer_is_refused_with_those_there_are(resnet18_weights: Path):
    network = load_backbone("resnet18", resnet18_weights).network
    with pytest.raises(InputError, match=r"layer layer5: .*layer3"):
        TappedNetwork(network, [Tap("layer5", 1)])


def test_features_do_not_depend_on_the_batch(
    resnet18_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    taps = [Tap("layer3", 2), Tap("avgpool", 1)]
    with create_h5(tmp_path / "images.h5", {}) as file:
        create_array(file, "images", (21, 64, 64, 3), "uint8")[...] = images(21)
    for size in (4, 21):
        monkeypatch.setitem(extract_features.__globals__["BATCH"], "cpu", size)
        backbone = load_backbone("resnet18", resnet18_weights)
        with (
            open_h5(tmp_path / "images.h5") as source,
            create_h5(tmp_path / f"{size}.h5", {}) as output,
        ):
            extract_features(source["images"], backbone, taps, torch.device("cpu"), output)
    with open_h5(tmp_path / "4.h5") as small, open_h5(tmp_path / "21.h5") as large:
        assert small["layer3/pool2"].shape == (21, 256 * 2 * 2)
        assert small["avgpool/pool1"].shape == (21, 512)
        for tap in taps:
            np.testing.assert_allclose(small[tap.name], large[tap.name], atol=1e-5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_asked_for_and_missing_is_an_error():
    assert select_device("auto").type == "cpu"
    with pytest.raises(InputError, match="device: cuda"):
        select_device("cuda")
