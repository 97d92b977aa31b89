"""Weights load strictly and safely; layers are tapped in one pass."""

import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from defectbench.acquisition.weights import fetch_weights
from defectbench.errors import InputError
from defectbench.facts import FACTS
from defectbench.features.backbones import load_backbone
from defectbench.features.batch_norm import fold_batch_norm
from defectbench.features.extraction import extract_features, select_device, select_precision
from defectbench.features.taps import Tap, TappedNetwork
from defectbench.progress import Progress
from defectbench.provenance import file_sha256
from defectbench.storage import create_array, create_h5, open_h5

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"


@pytest.fixture(scope="module")
def lite0_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "efficientnet_lite0.pth"
    fetch_weights("efficientnet_lite0", FACTS / "weights.csv", path.parent, path)
    return path


def images(count: int, side: int = 64) -> np.ndarray:
    return np.random.default_rng(42).integers(0, 256, (count, side, side, 3), np.uint8)


def test_torchvision_backbone_has_imagenet_normalisation(resnet18_weights: Path):
    backbone = load_backbone("resnet18", resnet18_weights)
    assert not backbone.network.training
    assert backbone.mean == (0.485, 0.456, 0.406)
    assert backbone.std == (0.229, 0.224, 0.225)


def test_torchvision_starts_without_the_compiler(resnet18_weights: Path):
    code = (
        "import sys, pathlib; from defectbench.features.backbones import load_backbone; "
        f"load_backbone('resnet18', pathlib.Path({str(resnet18_weights)!r})); "
        "assert 'torch._dynamo' not in sys.modules; "
        "import torch._dynamo.utils; assert torch._dynamo.utils.counters is not None"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=SCRIPTS, timeout=120)


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
    prefix = file_sha256(resnet18_weights)[:8]
    for expected in (prefix, "00000000"):
        listing.write_text(
            f"backbone,url,sha256_prefix\nresnet18,{resnet18_weights.as_uri()},{expected}\n"
        )
        output = tmp_path / expected / "resnet18.pth"
        if expected == prefix:
            fetch_weights("resnet18", listing, tmp_path / expected, output)
            assert output.read_bytes() == resnet18_weights.read_bytes()
        else:
            with pytest.raises(InputError, match=r"SHA256 is [0-9a-f]+, expected 00000000"):
                fetch_weights("resnet18", listing, tmp_path / expected, output)
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
    torch.testing.assert_close(found[Tap("layer2", 1)], layer2)
    torch.testing.assert_close(found[Tap("layer3", 2)], pooled)


def test_the_network_runs_no_further_than_the_deepest_tap(resnet18_weights: Path):
    network = load_backbone("resnet18", resnet18_weights).network
    network.layer4.register_forward_hook(lambda *_: pytest.fail("layer4 was run"))
    with torch.inference_mode():
        TappedNetwork(network, [Tap("layer1", 1), Tap("layer3", 1)])(torch.zeros(1, 3, 64, 64))


def test_an_unknown_layer_is_refused_with_those_there_are(resnet18_weights: Path):
    network = load_backbone("resnet18", resnet18_weights).network
    with pytest.raises(InputError, match=r"layer layer5: .*layer3"):
        TappedNetwork(network, [Tap("layer5", 1)])


def extract(weights: Path, folder: Path, precision: str = "fp32") -> dict[str, np.ndarray]:
    """Features of 21 images from both taps."""
    taps = [Tap("layer3", 2), Tap("avgpool", 1)]
    with create_h5(folder / "images.h5", {}) as file:
        create_array(file, "images", (21, 64, 64, 3), "uint8")[...] = images(21)
    backbone, progress = load_backbone("resnet18", weights), Progress(21, "test")
    device = torch.device("cpu")
    with open_h5(folder / "images.h5") as source, create_h5(folder / "f.h5", {}) as output:
        extract_features(source["images"], backbone, taps, device, precision, output, progress)
        return {tap.name: output[tap.name][()] for tap in taps}


def test_features_are_those_of_the_plain_network(resnet18_weights: Path, tmp_path: Path):
    backbone = load_backbone("resnet18", resnet18_weights)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (backbone.mean, backbone.std))
    batch = (torch.from_numpy(images(21)).permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.inference_mode():
        expected = TappedNetwork(backbone.network, [Tap("layer3", 2), Tap("avgpool", 1)])(batch)
    found = extract(resnet18_weights, tmp_path)
    for tap, values in expected.items():
        assert found[tap.name].dtype == np.float32
        tolerance = 1e-5 * values.abs().max().item()
        np.testing.assert_allclose(found[tap.name], values, atol=tolerance)


def test_features_do_not_depend_on_the_batch(
    resnet18_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found = extract(resnet18_weights, tmp_path)
    monkeypatch.setattr("defectbench.features.extraction.CPU_BATCH", 21)
    for name, values in extract(resnet18_weights, tmp_path).items():
        np.testing.assert_allclose(found[name], values, atol=1e-5 * np.abs(values).max())


def test_bf16_features_are_close_and_stored_as_float32(resnet18_weights: Path, tmp_path: Path):
    exact = extract(resnet18_weights, tmp_path)
    for name, values in extract(resnet18_weights, tmp_path, "bf16").items():
        assert values.dtype == np.float32
        deviation = np.abs(values - exact[name]).max() / np.abs(exact[name]).max()
        assert 1e-5 < deviation < 0.05


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0", "test_resnet"])
def test_folding_batch_norm_leaves_none_and_keeps_the_function(
    name: str, resnet18_weights: Path, lite0_weights: Path, tmp_path: Path
):
    import timm

    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "w.pth")
    files = {"resnet18": resnet18_weights, "efficientnet_lite0": lite0_weights}
    network = load_backbone(name, files.get(name, tmp_path / "w.pth")).network
    last = [layer for layer, _ in network.named_modules()][-1]
    folded = fold_batch_norm(network, [Tap(last, 1)], side=64)
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
    assert fold_batch_norm(network, [Tap("sum", 1)], side=8) is network


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
    folded = fold_batch_norm(OneSize().eval(), [Tap("head", 1)], side=8)
    assert isinstance(folded.norm, torch.nn.Identity)


def test_precision_is_chosen_by_name_or_hardware():
    cpu = torch.device("cpu")
    assert [select_precision(name, cpu) for name in ("fp32", "bf16")] == ["fp32", "bf16"]
    assert select_precision("auto", cpu) in ("fp32", "bf16")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_asked_for_and_missing_is_an_error():
    assert select_device("auto").type == "cpu"
    with pytest.raises(InputError, match="device: cuda"):
        select_device("cuda")


def test_features_that_are_not_finite_are_refused(resnet18_weights: Path, tmp_path: Path):
    backbone = load_backbone("resnet18", resnet18_weights)
    with torch.no_grad():
        backbone.network.layer1[0].conv1.weight[0] = float("nan")
    with create_h5(tmp_path / "images.h5", {}) as file:
        create_array(file, "images", (6, 64, 64, 3), "uint8")[...] = images(6)
    with open_h5(tmp_path / "images.h5") as given, create_h5(tmp_path / "f.h5", {}) as output:
        run = partial(
            extract_features,
            given["images"],
            backbone,
            [Tap("layer1", 1)],
            torch.device("cpu"),
            "fp32",
            output,
            Progress(6, "x"),
        )
        with pytest.raises(
            InputError, match=r"layer1/pool1 are NaN or infinite for image 0 .*fp32"
        ):
            run()
