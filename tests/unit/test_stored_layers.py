"""Layers are read from the disk by blocks of images, and say what arrays would say."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from defectbench.errors import InputError
from defectbench.features import feature_file
from defectbench.features.feature_file import open_layers
from defectbench.storage import create_array, create_h5, write_attributes
from defectbench.stored_layer import StoredLayer

MADE = {"device": "CPU", "images_sha256": "ab"}
RNG = np.random.default_rng(42)
VECTORS = RNG.normal(size=(600, 1000)).astype(np.float32)
MAPS = RNG.normal(size=(600, 4, 6, 6)).astype(np.float16)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("features") / "features.h5"
    with create_h5(path, {}) as opened:
        group = opened.create_group("small/net")
        write_attributes(group, {"provenance": MADE})
        for name, values in {"fc/pool1": VECTORS, "layer1/pool2": MAPS}.items():
            create_array(group, name, values.shape, values.dtype)[...] = values
    return path


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No layer is small enough to be read at once."""
    monkeypatch.setattr(feature_file, "BLOCK_BYTES", 1)


@pytest.mark.usefixtures("on_disk")
def test_a_stored_layer_has_the_shape_and_the_numbers_of_an_array(file: Path):
    with open_layers(file, "small/net", ["fc/pool1", "layer1/pool2"]) as (layers, made):
        assert made == MADE
        for layer, values in zip(layers, (VECTORS, MAPS.astype(np.float32)), strict=True):
            assert isinstance(layer, StoredLayer)
            assert (layer.shape, layer.ndim, len(layer)) == (values.shape, values.ndim, 600)
            assert layer.dtype == np.float32
            for images in (np.s_[:], np.s_[250:300], np.s_[590:], np.s_[7:7]):
                np.testing.assert_array_equal(layer[images], values[images], strict=True)


@pytest.mark.usefixtures("on_disk")
@pytest.mark.parametrize(
    "rows",
    [np.arange(3, 600, 7), np.arange(599, -1, -1), np.array([5, 2, 2, 90]), np.array([], int)],
    ids=["ascending", "descending", "repeated", "none"],
)
def test_some_images_are_a_layer_again(file: Path, rows: np.ndarray):
    with open_layers(file, "small/net", ["fc/pool1"]) as (layer, _):
        some = layer.take(rows)
        np.testing.assert_array_equal(some[:], VECTORS[rows], strict=True)
        np.testing.assert_array_equal(some[1:3], VECTORS[rows][1:3])
        again = some.take(np.arange(len(rows))[::2], axis=0)
        assert again.shape == (len(rows[::2]), 1000)
        np.testing.assert_array_equal(again[:], VECTORS[rows[::2]])


@pytest.mark.usefixtures("on_disk")
def test_nothing_is_read_before_it_is_asked_for(file: Path, monkeypatch: pytest.MonkeyPatch):
    read, direct = [], h5py.Dataset.read_direct

    def noting(self: h5py.Dataset, out: np.ndarray, source: slice, target: slice) -> None:
        read.append((source.start, source.stop))
        direct(self, out, source, target)

    monkeypatch.setattr(h5py.Dataset, "read_direct", noting)
    with open_layers(file, "small/net", ["fc/pool1"]) as (layer, _):
        some = layer.take([9, 3, 4, 5, 60])
        assert read == []
        _ = some[:4]
        assert read == [(3, 6), (9, 10)]


def test_small_layers_are_read_at_once(file: Path):
    with open_layers(file, "small/net", ["layer1/pool2"]) as (layer, made):
        pass
    assert made == MADE
    np.testing.assert_array_equal(layer, MAPS.astype(np.float32), strict=True)


@pytest.mark.usefixtures("on_disk")
def test_a_damaged_file_is_named_when_it_is_read(file: Path, tmp_path: Path):
    with h5py.File(file) as opened:
        chunk = opened["small/net/fc/pool1"].id.get_chunk_info(1)
    content = bytearray(file.read_bytes())
    content[chunk.byte_offset + 1000] ^= 1
    (tmp_path / "spoilt.h5").write_bytes(content)
    with (
        pytest.raises(InputError, match=r"spoilt\.h5: damaged"),
        open_layers(tmp_path / "spoilt.h5", "small/net", ["fc/pool1"]) as (layer, _),
    ):
        _ = [layer[:200], layer[200:400]]


def test_large_images_have_a_chunk_each_and_small_ones_share_one(tmp_path: Path):
    with create_h5(tmp_path / "a.h5", {}) as opened:
        for numbers, rows in ((512, 300), (1 << 14, 1), (1 << 20, 1)):
            array = create_array(opened, str(numbers), (300, numbers), np.float32)
            assert array.chunks == (rows, numbers)
