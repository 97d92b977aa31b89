"""The memory that rules ask for follows from the index, the features' shapes and the settings."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from defectbench import asked_memory, memory
from defectbench.asked_memory import (
    extraction_bytes,
    features_bytes,
    given_bytes,
    image_shapes,
    judging_bytes,
    largest_image_pixels,
    layer_values,
    map_bytes,
    pixel_metrics_bytes,
    read_rows,
    scoring_bytes,
)
from defectbench.errors import InputError, job_log
from defectbench.evaluation.pixel_ranks import pixel_bytes
from defectbench.images.index import IndexRow, write_index
from defectbench.memory import BLOCK_BYTES, memory_limit, of_no_machine, refuse_beyond_memory
from defectbench.scorers import scorer_class, scorer_names
from defectbench.scorers.padim import Padim
from defectbench.scorers.pca_fre import PcaFre
from defectbench.scorers.pca_kde import PcaKde

MAPS = [(64, 32, 32), (128, 16, 16)]


def feature_file(path: Path, dtype: str = "float32") -> Path:
    """Two layers of five images, of which nothing is written."""
    with h5py.File(path, "w") as file:
        for name, shape in zip(("layer1/pool1", "layer2/pool1"), MAPS, strict=True):
            file.create_dataset(f"p/net/{name}", (5, *shape), dtype)
    return path


def shapes_of(path: Path, *names: str) -> list[tuple[int, ...]] | None:
    return image_shapes(path, "p/net", [f"{name}/pool1" for name in names])


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_features_count_as_scorers_read_them_whatever_is_stored(tmp_path: Path, dtype: str):
    file = feature_file(tmp_path / "features.h5", dtype)
    assert shapes_of(file, "layer1", "layer2") == MAPS
    assert features_bytes(MAPS) == 4 * (64 * 32 * 32 + 128 * 16 * 16)


def test_features_that_are_to_come_are_not_guessed_at(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        shapes_of(tmp_path / "features.h5", "layer1")


def test_a_file_that_lacks_a_layer_or_is_damaged_has_no_shapes(tmp_path: Path):
    file = feature_file(tmp_path / "features.h5")
    assert shapes_of(file, "layer1", "layer3") is None
    file.write_bytes(b"no HDF5")
    assert shapes_of(file, "layer1") is None
    assert scoring_bytes(PcaKde(), None, 100, 50) < 1_000_000


def test_a_detector_asks_for_what_its_fit_says_and_for_reading_and_maps():
    scorer = Padim(channels=10)
    fit = scorer.fit_bytes([(200, *shape) for shape in MAPS])
    asked = scoring_bytes(scorer, MAPS, 200, 100)
    assert fit < asked < fit + 2 * BLOCK_BYTES + 2 * 4 * 256**2 * 1024 + 1_000_000


@pytest.mark.parametrize("name", scorer_names())
def test_every_detector_asks_for_more_of_more_images_and_layers(name: str):
    scorer = scorer_class(name)()
    few, many, layers = (
        scoring_bytes(scorer, shapes, fitted, judged)
        for shapes, fitted, judged in (
            (MAPS[:1], 100, 50),
            (MAPS[:1], 400, 200),
            (MAPS, 400, 200),
        )
    )
    assert 0 < few < many < layers


def test_maps_count_only_where_the_detector_and_the_features_have_places():
    assert map_bytes(PcaKde(), MAPS, 100) == 0
    assert map_bytes(PcaFre(), [(512,)], 100) == 0
    assert map_bytes(PcaFre(), MAPS, 100) == 2 * 4 * 32 * 32 * 100
    assert map_bytes(PcaFre(map_size=256), MAPS, 10**6) == 2 * 4 * 256**2 * 341


def extraction(
    side: int, threads: int = 1, size: int = 64, perturbations: int = 0, **tap: object
) -> int:
    backbone = tap.get("backbone", "resnet18")
    settings = {"interpolation": "lanczos", "size": side}
    passes = [
        {
            "preprocessing": "p",
            "settings": settings,
            "backbone": backbone,
            "taps": [[tap.get("layer", "layer3"), tap.get("pool", 1)]],
        }
    ]
    rows = [IndexRow(f"{k}.png", "train", 0, "good", "", size, size) for k in range(300)]
    return extraction_bytes(rows, passes, {backbone: __file__}, threads, perturbations)


def test_extraction_grows_with_the_images_the_squares_the_threads_and_the_taps():
    usual = extraction(256)
    assert extraction(512) > 2 * usual
    assert extraction(256, threads=8) > usual
    assert extraction(256, size=4000) > usual + 10 * 4000**2
    assert extraction(256, layer="layer1") > extraction(256, layer="layer1", pool=4) > 0
    assert extraction(256, perturbations=30) > usual + 10 * 32 * 3 * 256**2


def test_of_a_backbone_that_is_not_known_the_largest_layers_are_taken():
    assert extraction(256, backbone="convnext_tiny", layer="stages.0") > extraction(
        256, layer="layer1"
    )


def test_the_batch_of_a_thread_is_that_of_the_extraction():
    from defectbench.features import forward

    assert forward.CPU_BATCH == asked_memory.BATCH


def test_values_of_a_layer_are_those_of_the_network():
    import torch
    from torchvision.models import resnet18

    network, sizes = resnet18(weights=None).eval(), {}
    for name in ("layer1", "layer3", "avgpool"):
        network.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: sizes.update({name: output.numel()})
        )
    with torch.inference_mode():
        network(torch.zeros(1, 3, 256, 256))
    for name, values in sizes.items():
        assert layer_values()["resnet18"][name] == pytest.approx(values / 256**2, rel=0.01)


def test_pixel_metrics_ask_by_the_sizes_of_the_test_images_alone():
    rows = [
        IndexRow("train/good/0.png", "train", 0, "good", "", 9000, 9000),
        IndexRow("test/good/0.png", "test", 0, "good", "", 100, 50),
        IndexRow("test/dent/0.png", "test", 1, "dent", "mask.png", 100, 100),
    ]
    assert pixel_metrics_bytes(rows, "original") == pixel_bytes([5000, 10_000], 500)
    assert pixel_metrics_bytes(rows, 256) == pixel_bytes([256**2] * 2, 256**2 // 20)


def test_an_index_is_read_again_when_it_has_changed(tmp_path: Path):
    file, rows = tmp_path / "index.tsv", [IndexRow("a.png", "train", 0, "good")]
    write_index(file, rows)
    assert read_rows(file) == rows
    write_index(file, rows * 2)
    assert len(read_rows(file)) == 2


def test_a_compressed_file_of_features_counts_unpacked(tmp_path: Path):
    np.savez_compressed(tmp_path / "a.npz", X=np.zeros((1000, 1000)))
    assert (tmp_path / "a.npz").stat().st_size < 100_000
    assert given_bytes(tmp_path / "a.npz") > 2 * 8_000_000
    (tmp_path / "b.npz").write_bytes(b"no zip")
    assert given_bytes(tmp_path / "b.npz") == 0


def test_other_categories_features_are_held_up_to_a_block_each(tmp_path: Path):
    small = feature_file(tmp_path / "features.h5")
    assert judging_bytes([small, small]) == 2 * 2 * 2 * small.stat().st_size


def test_the_largest_image_is_found_without_an_index(tmp_path: Path):
    folder = tmp_path / "train" / "good"
    folder.mkdir(parents=True)
    for number, side in enumerate((10, 30, 20)):
        Image.effect_noise((side, side), 50).save(folder / f"{number}.png")
    (folder / "large.png").write_bytes(b"no image" * 1000)
    assert largest_image_pixels(tmp_path) == 30 * 30


def test_for_a_cluster_an_exact_analysis_is_asked_for_whatever_this_machine_has(monkeypatch):
    monkeypatch.setattr(memory, "memory_limit", lambda: 10**8)
    assert memory_limit() < 10**15
    with of_no_machine():
        assert memory_limit() > 10**15
    assert memory_limit() < 10**15


def test_a_refusal_names_the_work_what_it_needs_what_there_is_and_a_remedy(monkeypatch):
    monkeypatch.setattr(memory, "memory_limit", lambda: 16 * 10**9)
    refuse_beyond_memory(15 * 10**9, "use fewer images")
    with pytest.raises(InputError) as refused:
        refuse_beyond_memory(21 * 10**9, "use fewer images", "scores parts plate padim resnet18")
    assert str(refused.value) == (
        "scores parts plate padim resnet18: 21.0 GB of memory are needed, "
        "16.0 GB can be had: use fewer images"
    )


def test_a_refused_job_is_named_in_its_line(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(memory, "memory_limit", lambda: 16 * 10**9)
    monkeypatch.chdir(tmp_path)
    log = Path("logs", "parts", "plate", "padim", "resnet18", "scores.log")
    log.parent.mkdir(parents=True)
    with pytest.raises(SystemExit), job_log(log):
        refuse_beyond_memory(21 * 10**9, "use fewer images")
    assert log.read_text() == (
        "error: parts/plate/padim/resnet18/scores: 21.0 GB of memory are needed, "
        "16.0 GB can be had: use fewer images\n"
    )
