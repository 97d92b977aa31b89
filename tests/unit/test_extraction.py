"""Images become features, the same whatever the batch, on the device and in the precision asked."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from defectbench.errors import InputError
from defectbench.features import device_choice, forward
from defectbench.features.backbones import Backbone, load_backbone
from defectbench.features.device_choice import select_device, select_precision
from defectbench.features.extraction import Extractor
from defectbench.features.feature_file import Tap
from defectbench.features.taps import TappedNetwork

CPU = torch.device("cpu")
TAPS = (Tap("layer3", 2), Tap("avgpool", 1))


def images(count: int, side: int = 64) -> np.ndarray:
    return np.random.default_rng(42).integers(0, 256, (count, side, side, 3), np.uint8)


def square(side: int) -> dict[str, Any]:
    return {"interpolation": "lanczos", "size": side}


def extractor(
    backbone: Backbone,
    taps: Sequence[Tap] = TAPS,
    side: int = 64,
    precision: str = "fp32",
    threads: int = 2,
    stored: type = np.float32,
) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Features of images that are called 0.png, 1.png and so on."""
    made = Extractor(backbone, taps, square(side), stored)
    made.to(CPU, precision, threads)
    return lambda given: made(given, [Path(f"{number}.png") for number in range(len(given))])


def assert_plain(
    found: dict[str, np.ndarray], backbone: Backbone, taps: Sequence[Tap], given: np.ndarray
) -> None:
    """Features are those of the network as it is, all images at once."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (backbone.mean, backbone.std))
    batch = (torch.from_numpy(given).permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.inference_mode():
        expected = TappedNetwork(backbone.network, taps)(batch)
    for tap, values in expected.items():
        assert found[tap.name].dtype == np.float32
        np.testing.assert_allclose(found[tap.name], values, atol=1e-5 * values.abs().max().item())


@pytest.fixture
def resnet18(resnet18_weights: Path) -> Backbone:
    return load_backbone("resnet18", resnet18_weights)


def test_features_are_those_of_the_plain_network(resnet18: Backbone):
    assert_plain(extractor(resnet18)(images(21)), resnet18, TAPS, images(21))


def test_features_do_not_depend_on_the_batch(resnet18: Backbone, monkeypatch: pytest.MonkeyPatch):
    found = extractor(resnet18)(images(21))
    monkeypatch.setattr(forward, "CPU_BATCH", 21)
    for name, values in extractor(resnet18)(images(21)).items():
        np.testing.assert_allclose(found[name], values, atol=1e-5 * np.abs(values).max())


def made_timm(name: str) -> Backbone:
    import timm

    torch.manual_seed(42)
    return Backbone(timm.create_model(name).eval(), (0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("name", "layers", "side"),
    [
        ("resnet18", ["layer1", "layer4", "fc"], 64),
        ("efficientnet_lite0", ["blocks.2", "blocks.4", "global_pool"], 64),
        ("test_convnext", ["stages.1", "head"], 64),
        ("test_vit", ["blocks.2", "head"], 160),
    ],
)
def test_an_images_features_are_the_same_bytes_alone_and_in_any_company(
    name: str, layers: list[str], side: int, precision: str
):
    made = extractor(made_timm(name), [Tap(layer, 1) for layer in layers], side, precision)
    given = images(9, side)
    together = made(given)
    for order in ([4], [8, 4], [4, 0, 1], [1, 2, 3, 5, 6, 7, 8, 4]):
        for tap, values in made(given[order]).items():
            np.testing.assert_array_equal(values, together[tap][order])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("activation", [torch.nn.SiLU, torch.nn.Sigmoid, torch.nn.GELU])
def test_an_activation_of_few_numbers_rounds_alike_at_every_place(activation: type, precision: str):
    torch.manual_seed(42)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 20, 8, stride=8), torch.nn.AdaptiveAvgPool2d(1), activation()
    )
    made = extractor(Backbone(network, (0.5,) * 3, (0.2,) * 3), [Tap("2", 1)], precision=precision)
    given = images(60)
    np.testing.assert_array_equal(made(given[1:])["2/pool1"], made(given)["2/pool1"][1:])


def test_features_do_not_depend_on_the_number_of_threads():
    backbone = made_timm("efficientnet_lite0")
    taps, given = [Tap("blocks.4", 1), Tap("global_pool", 1)], images(21, side=128)
    alone, several = (extractor(backbone, taps, 128, threads=threads)(given) for threads in (1, 3))
    for name in alone:
        np.testing.assert_array_equal(alone[name], several[name])
    assert_plain(alone, backbone, taps, given)


@pytest.mark.parametrize(
    "options",
    [
        {"padding": "same"},
        {"padding": 1, "padding_mode": "reflect"},
        {"padding": 2, "dilation": 2, "groups": 4, "stride": 2},
        {"bias": False},
    ],
    ids=str,
)
def test_convolutions_of_every_kind_are_those_of_the_plain_network(options: dict[str, object]):
    torch.manual_seed(42)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 1), torch.nn.Conv2d(8, 8, 3, **options), torch.nn.ReLU()
    )
    backbone, given = Backbone(network, (0.0,) * 3, (1.0,) * 3), images(5, side=32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(given).permute(0, 3, 1, 2) / 255)
    found = extractor(backbone, [Tap("2", 1)], side=32)(given)["2/pool1"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_bf16_features_are_close_and_float32(resnet18: Backbone):
    exact = extractor(resnet18)(images(8))
    for name, values in extractor(resnet18, precision="bf16")(images(8)).items():
        assert values.dtype == np.float32
        deviation = np.abs(values - exact[name]).max() / np.abs(exact[name]).max()
        assert 1e-5 < deviation < 0.05


class SmallMemory(torch.nn.Module):
    """Runs out of GPU memory in the way of PyTorch above some number of images."""

    def __init__(self, holds: int) -> None:
        super().__init__()
        self.holds, self.batches, self.probed = holds, [], False
        self.pool = torch.nn.AdaptiveAvgPool2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.probed:  # on the CPU, before anything else
            self.probed = True
            return self.pool(x)
        if len(x) > self.holds:
            raise torch.cuda.OutOfMemoryError("out of memory")
        self.batches.append(len(x))
        return self.pool(x)


def out_of_memory(holds: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Callable, SmallMemory]:
    monkeypatch.setattr(forward, "CPU_BATCH", 32)
    network = SmallMemory(holds)
    backbone = Backbone(network, (0.0,) * 3, (1.0,) * 3)
    return extractor(backbone, [Tap("pool", 1)], side=8, threads=1), network


def test_a_batch_that_the_gpus_memory_does_not_hold_is_halved_and_stays_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    made, network = out_of_memory(10, monkeypatch)
    given = images(48, side=8)
    found = np.concatenate([made(given[:32])["pool/pool1"], made(given[32:])["pool/pool1"]])
    assert network.batches == [8] * 6
    assert capsys.readouterr().err.splitlines() == [
        f"out of GPU memory: batches of {size} from here on" for size in (16, 8)
    ]
    np.testing.assert_allclose(found, given.mean((1, 2)) / 255, rtol=1e-5)


def test_a_gpu_that_holds_no_image_is_an_error(monkeypatch: pytest.MonkeyPatch):
    made, _ = out_of_memory(0, monkeypatch)
    with pytest.raises(InputError, match="does not hold one image"):
        made(images(2, side=8))


def test_features_that_are_not_finite_are_refused(resnet18: Backbone):
    with torch.no_grad():
        resnet18.network.layer1[0].conv1.weight[0] = float("nan")
    made = extractor(resnet18, [Tap("layer1", 1)], threads=1)
    with pytest.raises(InputError, match=r"^0\.png: its features of layer1/pool1 are NaN .*fp32"):
        made(images(6))


def test_features_are_rounded_to_what_is_stored(resnet18: Backbone):
    exact = extractor(resnet18)(images(3))
    rounded = extractor(resnet18, stored=np.float16)(images(3))
    for name, values in rounded.items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, exact[name].astype(np.float16))


def test_a_feature_too_large_for_what_is_stored_is_refused():
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1))
    bright = images(3, side=8)
    bright[1] = 255
    backbone = Backbone(network, (0.0,) * 3, (1 / 70_000,) * 3)
    assert extractor(backbone, [Tap("0", 1)], 8)(bright)["0/pool1"].max() == 70_000
    with pytest.raises(InputError, match=r"^1\.png: its features of 0/pool1 exceed 65504.*fp32"):
        extractor(backbone, [Tap("0", 1)], 8, stored=np.float16)(bright)


def test_a_size_that_the_network_does_not_take_is_refused():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 2)).eval()
    backbone = Backbone(network, (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(InputError, match="takes no images of 16×16"):
        Extractor(backbone, [Tap("1", 1)], square(16))


@pytest.mark.parametrize(
    ("capabilities", "amd", "chosen"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, False, "bf16"),
        ({"amx_bf16": False, "avx512_bf16": True}, True, "bf16"),
        ({"amx_bf16": False, "avx512_bf16": True}, False, "fp32"),
        ({}, True, "fp32"),
    ],
    ids=["Intel with AMX", "AMD with AVX512_BF16", "Intel with AVX512_BF16", "neither"],
)
def test_bf16_is_chosen_where_it_was_the_faster_one(
    capabilities: dict, amd: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(device_choice, "_is_made_by_amd", lambda: amd)
    assert select_precision("auto", CPU) == chosen


def test_a_named_precision_is_taken():
    assert [select_precision(name, CPU) for name in ("fp32", "bf16")] == ["fp32", "bf16"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_asked_for_and_missing_is_an_error():
    assert select_device("auto").type == "cpu"
    with pytest.raises(InputError, match="device: cuda"):
        select_device("cuda")


def test_a_gpu_is_claimed_for_as_long_as_it_is_used(monkeypatch: pytest.MonkeyPatch):
    claims: list[str] = []

    @contextlib.contextmanager
    def claim(gpus: list[str]):
        claims.append(f"claimed one of {gpus}")
        yield 1
        claims.append("given back")

    monkeypatch.setattr(device_choice, "claimed_gpu", claim)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda number: SimpleNamespace(uuid=f"gpu{number}")
    )
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    with device_choice.claimed_device("auto") as device:
        assert device == torch.device("cuda", 1)
        assert device_choice.device_name(device) == "a GPU"
        assert claims == ["claimed one of ['gpu0', 'gpu1']"]
    assert claims[1:] == ["given back"]
    with device_choice.claimed_device("cpu") as device:
        assert device == CPU
