"""Small images in the MVTec layout, made afresh for the tests that need them."""

import gc
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runs import PAGE, TABLE, USAGE, said, snakemake, write_config

ROOT = Path(__file__).parents[1]


def pytest_unconfigure() -> None:
    """Free at the exit what a job keeps: triton, which comes with torch, would list all of it."""
    gc.unfreeze()


def textured_image(rng: np.random.Generator, mode: str, defective: bool) -> Image.Image:
    """A striped part of 48×40 pixels; a defective one carries a bright square."""
    stripes = 90 + 40 * np.sin(np.arange(48) / 3 + rng.uniform(0, 0.5))
    pixels = np.repeat(stripes[None, :], 40, axis=0) + rng.normal(0, 4, (40, 48))
    if defective:
        pixels[10:24, 12:30] = 250
    grey = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return grey.convert(mode)


def make_category(folder: Path, seed: int, mode: str, train: int = 16) -> Path:
    """A category with defect-free, scratched and dented images, and masks of the defects."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((40, 48), np.uint8)
    mask[10:24, 12:30] = 255
    for split, defect, count in (
        ("train", "good", train),
        ("test", "good", 5),
        ("test", "dent", 3),
        ("test", "scratch", 4),
    ):
        images = folder / split / defect
        images.mkdir(parents=True)
        for number in range(count):
            textured_image(rng, mode, defect != "good").save(images / f"{number:03}.png")
            if defect != "good":
                masks = folder / "ground_truth" / defect
                masks.mkdir(parents=True, exist_ok=True)
                Image.fromarray(mask).save(masks / f"{number:03}_mask.png")
    return folder


@pytest.fixture
def category(tmp_path: Path) -> Path:
    """One small RGB category."""
    return make_category(tmp_path / "parts" / "plate", seed=1, mode="RGB")


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small categories, one RGB and one greyscale; read-only by agreement."""
    folder = tmp_path_factory.mktemp("dataset")
    make_category(folder / "plate", seed=1, mode="RGB")
    make_category(folder / "ring", seed=2, mode="L")
    return folder


@pytest.fixture(scope="session")
def resnet18_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ResNet-18 with seeded random weights."""
    import torch  # takes seconds, and most tests need none
    from torchvision.models import resnet18

    torch.manual_seed(42)
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(resnet18(weights=None).state_dict(), path)
    return path


@pytest.fixture
def dataset_copy(small_dataset: Path, tmp_path: Path) -> Path:
    """The small dataset, free to be damaged."""
    return Path(shutil.copytree(small_dataset, tmp_path / "dataset"))


@pytest.fixture(scope="session")
def finished(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run, and in ``said`` what it said; read-only by agreement."""
    folder = tmp_path_factory.mktemp("run")
    write_config(folder, small_dataset)
    run = snakemake(folder, TABLE, PAGE, USAGE)
    (folder / "said").write_text(said(run))
    assert run.returncode == 0, said(run)
    return folder


@pytest.fixture
def finished_copy(finished: Path, tmp_path: Path) -> Path:
    """The same, free to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "run", symlinks=True))
