"""Files are complete or absent, and the same bytes when made twice."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from defectbench.atomic import atomic_path
from defectbench.errors import InputError
from defectbench.storage import (
    open_h5,
    read_arrays,
    read_attributes,
    read_json,
    read_tsv,
    write_arrays,
    write_json,
    write_tsv,
)

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
ARRAYS = {"X": np.arange(600_000, dtype=np.float32).reshape(300, 2000), "scale": np.array(2.5)}


def test_arrays_and_attributes_survive(tmp_path: Path):
    write_arrays(tmp_path / "a.h5", ARRAYS, {"provenance": {"seed": 42}})
    arrays, attributes = read_arrays(tmp_path / "a.h5")
    assert attributes == {"provenance": {"seed": 42}}
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array, strict=True)


def test_made_twice_a_file_has_the_same_bytes(tmp_path: Path):
    for name in ("a.h5", "b.h5"):
        write_arrays(tmp_path / name, ARRAYS, {"provenance": {"seed": 42}})
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_no_flipped_bit_goes_unnoticed(tmp_path: Path):
    path = tmp_path / "a.h5"
    arrays = {"layer3/pool2": np.arange(300, dtype=np.float32).reshape(3, 100), "n": np.array(2.5)}
    write_arrays(path, arrays, {"provenance": {"seed": 42}})
    content = path.read_bytes()
    noticed: list[str] = []
    for position in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            with open_h5(path) as file:
                read = {name: file[name][()] for name in arrays}
                attributes = read_attributes(file)
        except InputError as error:
            noticed.append(str(error))
            continue
        assert attributes == {"provenance": {"seed": 42}}, position
        assert all(np.array_equal(read[name], arrays[name]) for name in arrays), position
    assert len(noticed) > 200
    assert all("a.h5: damaged" in message for message in noticed)


def test_a_truncated_file_is_noticed(tmp_path: Path):
    path = tmp_path / "a.h5"
    write_arrays(path, ARRAYS, {})
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"a\.h5: damaged"), open_h5(path):
        pass


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path):
    path = tmp_path / "table.md"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), atomic_path(path) as part:
        part.write_bytes(b"new, half" + (tmp_path / "missing").read_bytes())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture(params=[0o002, 0o027], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_the_umask_says_who_may_read_a_file(tmp_path: Path, umask: int):
    write_json(tmp_path / "a.json", {})
    write_arrays(tmp_path / "b.h5", ARRAYS, {})
    for name in ("a.json", "b.h5"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_write_that_is_killed_leaves_the_old_file(tmp_path: Path):
    target = tmp_path / "table.md"
    target.write_text("old")
    code = (
        "import sys; from defectbench.atomic import atomic_path\n"
        f"with atomic_path({str(target)!r}) as part:\n"
        "    part.write_text('half'); print('writing', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=SCRIPTS, text=True, **pipes) as writer:
        assert writer.stdout.readline() == "writing\n"
        writer.kill()
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    subprocess.run(command, cwd=SCRIPTS, stdin=subprocess.DEVNULL, check=True, capture_output=True)
    assert target.read_text() == "half"
    assert list(tmp_path.iterdir()) == [target]


def test_json_refuses_nan(tmp_path: Path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"image_auroc": float("nan")})
    write_json(tmp_path / "a.json", {"image_auroc": None})
    assert read_json(tmp_path / "a.json") == {"image_auroc": None}


def test_tsv_keeps_names_with_spaces_and_accents(tmp_path: Path):
    write_tsv(tmp_path / "a.tsv", ["path", "label"], [("test/gut für alles/ä 1.png", 1)])
    assert read_tsv(tmp_path / "a.tsv") == [{"path": "test/gut für alles/ä 1.png", "label": "1"}]
