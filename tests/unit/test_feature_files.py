"""Features made elsewhere are taken as they are, or refused with the array that is wrong."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from defectbench.errors import InputError
from defectbench.images.index import IndexRow
from defectbench.sources import given_features
from defectbench.sources.given_features import GivenFeatures, blocks_of, open_feature_file


def arrays(**changes: object) -> dict[str, np.ndarray]:
    X = np.random.default_rng(42).normal(size=(12, 5)).astype(np.float32)
    given = {"X": X, "y": np.repeat([0, 1], 6), "split": np.array(["train"] * 4 + ["test"] * 8)}
    return given | {name: np.asarray(value) for name, value in changes.items()}


def write(path: Path, given: dict[str, np.ndarray]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **given)
    else:
        with h5py.File(path, "w") as file:
            for name, array in given.items():
                file[name] = array.astype("S") if array.dtype.kind == "U" else array
    return path


def read_feature_file(path: Path) -> tuple[np.ndarray, list[IndexRow]]:
    with open_feature_file(path) as (X, index):
        return np.concatenate([values for _, values in blocks_of(X)]), index


@pytest.mark.parametrize("name", ["plate.npz", "plate.h5", "plate.hdf5"])
def test_rows_keep_their_features_and_labels(tmp_path: Path, name: str):
    given = arrays()
    X, index = read_feature_file(write(tmp_path / name, given))
    assert [row.path for row in index] == sorted(row.path for row in index)
    for row, features in zip(index, X, strict=True):
        number = int(row.path.split("/")[1])
        np.testing.assert_array_equal(features, given["X"][number])
        assert row.label == given["y"][number]
        assert row.split == given["split"][number]
        assert row.defect == ("good", "defective")[row.label]


@pytest.mark.parametrize("name", ["plate.npz", "plate.h5"])
def test_blocks_of_any_size_give_the_same_rows(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    given = arrays(X=np.random.default_rng(1).normal(size=(12, 5)))
    at_once, index = read_feature_file(write(tmp_path / name, given))
    monkeypatch.setattr(given_features, "BLOCK_BYTES", 3 * 5 * 8)
    by_blocks, same = read_feature_file(tmp_path / name)
    np.testing.assert_array_equal(by_blocks, at_once, strict=True)
    assert same == index
    with open_feature_file(tmp_path / name) as (X, _):
        assert [rows for rows, _ in blocks_of(X)] == [slice(n, n + 3) for n in range(0, 12, 3)]


def test_a_third_split_holds_calibration_images(tmp_path: Path):
    given = arrays(split=["train"] * 3 + ["calibration"] * 3 + ["test"] * 6)
    _, index = read_feature_file(write(tmp_path / "p.npz", given))
    assert [row.path for row in index if row.split == "calibration"] == [
        f"calibration/{number:02}" for number in (3, 4, 5)
    ]


def test_names_and_defect_types_are_kept(tmp_path: Path):
    names = [f"part {letter}" for letter in "lkjihgfedcba"]
    defects = ["good"] * 6 + ["dent"] * 3 + ["scratch"] * 3
    _, index = read_feature_file(write(tmp_path / "p.npz", arrays(name=names, defect=defects)))
    row = next(row for row in index if row.path == "test/part a")
    assert (row.defect, row.label) == ("scratch", 1)


def test_groups_are_kept(tmp_path: Path):
    given = arrays(group=[f"tile {number // 3}" for number in range(12)])
    _, index = read_feature_file(write(tmp_path / "p.h5", given))
    assert [row.group for row in index if row.split == "train"] == ["tile 0"] * 3 + ["tile 1"]
    _, index = read_feature_file(write(tmp_path / "q.npz", arrays()))
    assert {row.group for row in index} == {""}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": [0] * 11}, r"y has shape \(11,\), expected \(12,\)"),
        ({"y": [0] * 6 + [2] * 6}, "y holds .*2.*expected 0 and 1"),
        ({"split": ["train"] * 12}, "expected both train and test"),
        ({"split": ["train"] * 8 + ["val"] * 4}, "expected both train and test"),
        ({"y": [1] * 12}, "a defective image is in train"),
        (
            {"split": ["train"] * 4 + ["test"] * 4 + ["calibration"] * 4},
            "a defective image is in calibration",
        ),
        ({"X": np.zeros((12, 5, 5))}, "expected numbers, images by dimensions"),
        ({"X": np.full((12, 5), np.nan)}, "row 0 of X is NaN"),
        ({"X": np.full((12, 5), 1e300)}, "row 0 of X is NaN, infinite or too large"),
        ({"name": ["same"] * 12}, "name holds a name twice in one split"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_wrong_array_is_named(tmp_path: Path, changes: dict, message: str):
    path = write(tmp_path / "plate.npz", arrays(**changes))
    with pytest.raises(InputError, match=rf"plate\.npz: .*{message}"):
        read_feature_file(path)


@pytest.mark.parametrize("missing", ["X", "y", "split"])
def test_a_missing_array_is_named(tmp_path: Path, missing: str):
    given = arrays()
    del given[missing]
    with pytest.raises(InputError, match=f"has no array {missing}"):
        read_feature_file(write(tmp_path / "plate.npz", given))


def test_a_pickle_is_never_loaded(tmp_path: Path):
    path = write(tmp_path / "plate.npz", arrays(split=np.array([{"a": 1}] * 12, dtype=object)))
    with pytest.raises(InputError, match="cannot be read"):
        read_feature_file(path)


@pytest.mark.parametrize("name", ["plate.npz", "plate.h5"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str):
    path = write(tmp_path / name, arrays())
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match=name):
        read_feature_file(path)


def test_categories_are_the_files_of_the_folder(tmp_path: Path):
    for name in ("ring.npz", "plate.h5", "notes.txt"):
        (tmp_path / name).touch()
    source = GivenFeatures("given", {"datasets": {"given": {"path": tmp_path}}})
    assert source.found() == ["plate", "ring"]
    (tmp_path / "ring.h5").touch()
    with pytest.raises(InputError, match="second file of category ring"):
        source.found()
