"""An extraction goes on where it was killed, and what is added to a category is extracted alone."""

import shutil
from pathlib import Path

import pytest
from conftest import make_category
from held import StartedRun
from runs import said, snakemake, write_config

CATEGORY = Path("results/parts/plate")
TRAIN, TEST, BLOCK = 100, 12, 32


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four blocks of images, the last one not full; read-only by agreement."""
    return make_category(tmp_path_factory.mktemp("many") / "plate", 3, "RGB", TRAIN).parent


def started(folder: Path, images: Path, weights: Path) -> Path:
    """A folder with the config of a run on a network of random weights, before it has begun."""
    folder.mkdir()
    method = {"scorer": "pca_fre", "layer": "layer1", "pool": 2, "preprocessing": "lanczos64"}
    write_config(
        folder,
        images,
        datasets={"parts": {"source": "folder", "path": str(images), "methods": ["fre"]}},
        methods={"fre": method | {"backbones": ["resnet18"]}},
        backbones={"resnet18": {"weights": str(weights)}},
    )
    return folder


def extracted(folder: Path) -> tuple[str, bytes]:
    """What the log of a run says that it extracts, and the feature file that it makes."""
    run = snakemake(folder, str(CATEGORY / "features.h5"))
    assert run.returncode == 0, said(run)
    assert not (folder / CATEGORY / ".features.blocks").exists()
    log = (folder / "logs" / "parts" / "plate" / "features.log").read_text()
    return log.splitlines()[0], (folder / CATEGORY / "features.h5").read_bytes()


@pytest.fixture(scope="module")
def at_once(images: Path, resnet18_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an extraction that nothing happened to; read-only by agreement."""
    folder = started(tmp_path_factory.mktemp("at once") / "run", images, resnet18_weights)
    line, _ = extracted(folder)
    assert line == f"extracts {TRAIN + TEST} of {TRAIN + TEST} images: lanczos64/resnet18"
    return folder


def test_a_killed_extraction_goes_on_and_ends_in_the_same_bytes(
    images: Path, at_once: Path, resnet18_weights: Path, tmp_path: Path
):
    folder = started(tmp_path / "run", images, resnet18_weights)
    for blocks in (2, 1):  # killed twice, and the second job adds to what the first one left
        with StartedRun(
            folder, str(CATEGORY / "features.h5"), held="features.py", after=blocks
        ) as run:
            run.job("features.py").kill()
            assert run.wait() != 0
            assert "error: features parts/plate failed" in run.said()
        assert not (folder / CATEGORY / "features.h5").exists()
    line, content = extracted(folder)
    left = TRAIN + TEST - 3 * BLOCK
    assert line == f"extracts {left} of {TRAIN + TEST} images: lanczos64/resnet18"
    assert content == (at_once / CATEGORY / "features.h5").read_bytes()


def test_added_images_are_extracted_alone_and_renamed_ones_not_at_all(
    images: Path, at_once: Path, resnet18_weights: Path, tmp_path: Path
):
    more = Path(shutil.copytree(images, tmp_path / "images"))
    good = more / "plate" / "train" / "good"
    other = make_category(tmp_path / "other" / "plate", 4, "RGB", 5)
    for image in (other / "train" / "good").iterdir():
        image.rename(good / f"0_{image.name}")  # before the others in the index
    (good / "050.png").rename(good / "zzz.png")
    (good / "060.png").unlink()
    folder = Path(shutil.copytree(at_once, tmp_path / "run", symlinks=True))
    shutil.rmtree(folder / "resources")
    write = (folder / "config.yaml").read_text().replace(str(images), str(more))
    (folder / "config.yaml").write_text(write)
    line, content = extracted(folder)
    assert line == f"extracts 5 of {TRAIN + TEST + 4} images: lanczos64/resnet18"
    line, afresh = extracted(started(tmp_path / "afresh", more, resnet18_weights))
    assert line.startswith(f"extracts {TRAIN + TEST + 4} of")
    assert content == afresh
