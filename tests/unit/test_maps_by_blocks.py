"""Maps are made, kept and written by blocks of images; the file is the same whatever the blocks."""

import os
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pytest
from specifications import specification

from defectbench.errors import InputError
from defectbench.evaluation import scoring
from defectbench.evaluation.scoring import Scoring, fit_and_score
from defectbench.map_file import MapFile, create_maps, open_maps
from defectbench.scorers import base, layers
from defectbench.scorers.base import Scorer
from defectbench.scorers.layers import Features, image_blocks, read_images

N_TRAIN, N_TEST, N_CALIBRATION = 23, 11, 6
X = np.random.default_rng(5).normal(size=(40, 3, 6, 5)).astype(np.float32)
X_TRAIN, X_TEST, X_CALIBRATION = np.split(X, np.cumsum([N_TRAIN, N_TEST]))
MAP_BYTES = 4 * 6 * 5


class AboveLowest(Scorer):
    """How far a place is above the lowest training value there: the same bits in every block.

    Parameters
    ----------
    fails_on
        Number of the fit, from 0, that ends in an error.
    """

    parameter_schema: ClassVar = {}
    fitted = ("lowest",)
    localizes = True

    def __init__(self, fails_on: int | None = None) -> None:
        self.left = fails_on

    def fit(self, X: Features) -> Self:
        if self.left == 0:
            raise InputError("this one cannot be fitted")
        if self.left:
            self.left -= 1
        self.lowest_ = np.min([part.min(axis=0) for _, (part,) in image_blocks(X)], axis=0)
        return self

    def anomaly_map(self, X: Features) -> np.ndarray:
        (part,) = read_images([X], slice(None))
        return (part - self.lowest_).max(axis=1)

    def anomaly_score(self, X: Features) -> np.ndarray:
        return self.anomaly_map(X).max(axis=(1, 2)).astype(np.float64)


def scored(path: Path, scorer: Scorer) -> Scoring:
    with create_maps(path, specification()) as maps:
        others = X_TEST, X_CALIBRATION
        return fit_and_score(scorer, X_TRAIN, *others, [""] * N_TRAIN, 0.0, 4, 42, maps)


def set_blocks(features: int, made: int, written: int, patch: pytest.MonkeyPatch) -> None:
    """Bytes of features, and numbers of maps that are made and written at once."""
    patch.setattr(layers, "BLOCK_BYTES", features)
    patch.setattr(base, "MAPS_BYTES", 4 * 256**2 * made)
    patch.setattr(scoring, "WRITTEN_BYTES", MAP_BYTES * written)


def open_files(folder: Path) -> list[str]:
    """Files below a folder that this process holds, those without a name too."""
    links = [Path("/proc/self/fd", number) for number in os.listdir("/proc/self/fd")]
    held = [os.readlink(link) for link in links if link.is_symlink()]
    return [path for path in held if path.startswith(str(folder))]


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1000, 2, 7), (1 << 27, 3, 5)])
def test_many_blocks_give_the_same_scores_and_the_same_bytes_as_one(
    sizes: tuple[int, int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    at_once = scored(tmp_path / "at_once.h5", AboveLowest())
    set_blocks(*sizes, monkeypatch)
    by_blocks = scored(tmp_path / "by_blocks.h5", AboveLowest())
    np.testing.assert_array_equal(by_blocks.scores, at_once.scores)
    np.testing.assert_array_equal(by_blocks.calibration, at_once.calibration)
    np.testing.assert_array_equal(by_blocks.held_out, at_once.held_out)
    assert (tmp_path / "by_blocks.h5").read_bytes() == (tmp_path / "at_once.h5").read_bytes()


def test_each_map_is_in_its_images_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    set_blocks(1000, 2, 3, monkeypatch)
    found = scored(tmp_path / "maps.h5", AboveLowest())
    with open_maps(tmp_path / "maps.h5") as (maps, made):
        assert made == specification()
        expected = AboveLowest().fit(X_TRAIN).anomaly_map(X_TEST)
        np.testing.assert_array_equal(maps["test"][:], expected, strict=True)
        expected = AboveLowest().fit(X_TRAIN).anomaly_map(X_CALIBRATION)
        np.testing.assert_array_equal(maps["calibration"][:], expected, strict=True)
        np.testing.assert_array_equal(found.calibration, expected.max(axis=(1, 2)))
        for fold in found.folds:
            others = np.setdiff1d(np.arange(N_TRAIN), fold)
            expected = AboveLowest().fit(X_TRAIN[others]).anomaly_map(X_TRAIN[fold])
            np.testing.assert_array_equal(maps["held_out"][:][fold], expected, strict=True)


def test_no_more_maps_are_in_memory_than_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    set_blocks(1 << 27, 4, 3, monkeypatch)
    sizes: dict[str, list[int]] = {"test": [], "calibration": [], "held_out": []}
    write = MapFile.write

    def noted(file: MapFile, name: str, n_images: int, start: int, maps: np.ndarray) -> None:
        sizes[name].append(len(maps))
        write(file, name, n_images, start, maps)

    monkeypatch.setattr(MapFile, "write", noted)
    scored(tmp_path / "maps.h5", AboveLowest())
    assert sizes == {"test": [4, 4, 3], "calibration": [4, 2], "held_out": [3] * 7 + [2]}


def test_only_the_file_of_maps_stays(tmp_path: Path):
    scored(tmp_path / "maps.h5", AboveLowest())
    assert list(tmp_path.iterdir()) == [tmp_path / "maps.h5"]
    assert open_files(tmp_path) == []


@pytest.mark.parametrize("fit", [0, 1, 3], ids=["first fit", "first fold", "a later fold"])
def test_nothing_stays_after_an_error(tmp_path: Path, fit: int):
    with pytest.raises(InputError, match="cannot be fitted") as caught:
        scored(tmp_path / "maps.h5", AboveLowest(fails_on=fit))
    del caught  # whose traceback holds what the functions held
    assert list(tmp_path.iterdir()) == []
    assert open_files(tmp_path) == []


def test_a_detector_without_maps_writes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(AboveLowest, "localizes", False)
    scored(tmp_path / "maps.h5", AboveLowest())
    with open_maps(tmp_path / "maps.h5") as (maps, _):
        assert maps == {}
