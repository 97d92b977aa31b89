"""A folder of new images scored by the script, as its user runs it."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
from bare import bare_python
from made_detectors import write_images
from PIL import Image

import score_folder
from defectbench.deployment import reading
from defectbench.deployment.detector import Detector
from defectbench.deployment.folder import FolderScoring
from defectbench.deployment.overlays import picture
from defectbench.deployment.reading import Read
from defectbench.evaluation.map_geometry import MapScale
from defectbench.images.network_image import Decoded, decoded_image, whole_image
from defectbench.names import short
from defectbench.reports.map_panels import draw_panels
from defectbench.score_table import Row, only_writer, read_rows, table_files

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "workflow" / "scripts" / "score_folder.py"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    write_images(tmp_path / "new", seed=5, n_good=22, n_defective=8)
    return tmp_path / "new"


def command(made: dict, images: Path, *options: str) -> list[str]:
    return bare_python(SCRIPT, made["path"], images, *options)


def score(made: dict, images: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What the script says of images; its output folder is beside them."""
    command = ["score_folder.py", str(made["path"]), str(images), "--threads", "1"]
    command += ["--output", str(images.parent / "out"), *options]
    output, errors = io.StringIO(), io.StringIO()
    with patch.object(sys, "argv", command), redirect_stdout(output), redirect_stderr(errors):
        status = score_folder.main()
    return subprocess.CompletedProcess(command, status, output.getvalue(), errors.getvalue())


def table(images: Path) -> dict[str, dict[str, str]]:
    with open(images.parent / "out" / "scores.csv", encoding="utf-8") as stream:
        return {row["path"]: row for row in csv.DictReader(stream)}


def test_scores_equal_those_of_the_scorer_without_its_libraries(made: dict):
    images = made["files"][0].parent
    output = ["--output", str(images.parent / "out"), "--threads", "1", "--overlays", "defective"]
    run = subprocess.run(command(made, images, *output), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    rows = list(table(images).values())
    found = [float(row["score"]) for row in rows]
    np.testing.assert_allclose(found, made["scores"], rtol=1e-5)
    threshold = made["metadata"]["threshold"]["value"]
    sure = np.abs(made["scores"] / threshold - 1) > 1e-5  # the threshold is just above a score
    expected = np.where(made["scores"] >= threshold, "defective", "good")
    verdicts = np.array([row["verdict"] for row in rows])
    np.testing.assert_array_equal(verdicts[sure], expected[sure])
    assert {float(row["threshold"]) for row in rows} == {threshold}
    below = [(made["scores"] < value).mean() for value in made["scores"]]
    shares = [float(row["share_of_good_below"]) for row in rows]
    np.testing.assert_allclose(shares, below, atol=0.026)  # ties within rounding
    assert all(float(row["milliseconds"]) > 0 for row in rows)
    assert len(overlays(images)) == (verdicts == "defective").sum()


def test_defects_are_found_and_the_summary_says_so(made: dict, new: Path):
    run = score(made, new)
    assert run.returncode == 0, run.stderr
    rows = table(new)
    assert [rows[f"{number:04}.png"]["verdict"] for number in range(22, 30)] == ["defective"] * 8
    assert "30 images in" in run.stdout
    assert "0.6% to 13.2% are to be expected" in run.stdout
    summary = json.loads((new.parent / "out" / "summary.json").read_text())
    assert summary["defective"] == sum(row["verdict"] == "defective" for row in rows.values())
    assert "30/30 images" in run.stderr


def test_another_false_positive_rate_moves_the_threshold(made: dict, new: Path):
    score(made, new)
    at_5 = table(new)
    run = score(made, new, "--rate", "0.2", "--overwrite")
    assert run.returncode == 0, run.stderr
    at_20 = table(new)
    for row in at_20.values():
        called = float(row["score"]) >= float(row["threshold"])
        assert row["verdict"] == ("defective" if called else "good")
    assert float(at_20["0000.png"]["threshold"]) < float(at_5["0000.png"]["threshold"])
    run = score(made, new, "--rate", "0.0001")
    assert run.returncode == 2
    assert "error: --rate 0.0001: the detector knows 0.2, 0.1, 0.05" in run.stderr


def test_unreadable_images_are_listed_skipped_and_end_in_an_error(made: dict, new: Path):
    (new / "0003.png").write_bytes(b"no image")
    (new / "0007.png").write_bytes((new / "0007.png").read_bytes()[:200])
    (new / "empty.jpg").touch()
    (new / "notes.txt").write_text("no image, and none by its name")
    run = score(made, new)
    assert run.returncode == 1
    rows = table(new)
    assert {path for path, row in rows.items() if row["verdict"] == "unreadable"} == {
        *("0003.png", "0007.png", "empty.jpg")
    }
    assert len(rows) == 31
    unreadable = [line for line in run.stderr.splitlines() if line.startswith("unreadable:")]
    assert len(unreadable) == 3
    assert str(new / "0003.png") in unreadable[0]
    out = new.parent / "out" / "scores.csv"
    said = f"exit status 1: images that could not be read: 3, which are 'unreadable' in {out}"
    assert run.stderr.splitlines()[-1] == said
    assert "28 images in" in run.stdout


def test_images_of_other_modes_and_sizes_are_scored(made: dict, tmp_path: Path):
    images = tmp_path / "new"
    images.mkdir()
    for mode in ("L", "LA", "RGBA", "P", "1", "CMYK"):
        image = Image.new("RGB", (700, 9), (90, 120, 30)).convert(mode)
        image.save(images / f"{mode}{'.tif' if mode == 'CMYK' else '.png'}")
    Image.fromarray(np.full((9, 700), 30_000, np.uint16)).save(images / "16 bit.png")
    run = score(made, images)
    assert run.returncode == 0, run.stderr
    assert len(table(images)) == 7


def test_images_in_subfolders_are_named_by_their_path(made: dict, new: Path):
    (new / "line 2").mkdir()
    shutil.move(new / "0001.png", new / "line 2" / "ä, 1.PNG")
    assert score(made, new).returncode == 0
    assert "line 2/ä, 1.PNG" in table(new)


def test_linked_parts_are_scored_and_hidden_ones_are_not(made: dict, new: Path, tmp_path: Path):
    shutil.move(new / "0001.png", tmp_path / "elsewhere.png")
    (new / "0001.png").symlink_to(tmp_path / "elsewhere.png")
    (tmp_path / "line 2").mkdir()
    shutil.move(new / "0002.png", tmp_path / "line 2")
    (new / "line 2").symlink_to(tmp_path / "line 2")
    (new / ".thumbnails").mkdir()
    shutil.copy(new / "0003.png", new / ".thumbnails")
    (new / "0004.png").unlink()
    (new / "0004.png").symlink_to(tmp_path / "gone.png")
    run = score(made, new)
    assert run.returncode == 1
    assert {"0001.png", "line 2/0002.png"} <= table(new).keys()
    assert len(table(new)) == 30  # the unreadable one has a row, too
    assert "0004.png: cannot be read (No such file or directory)" in run.stderr


def test_an_empty_folder_and_a_missing_one_are_named(made: dict, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    complaints = {
        "empty": "no PNG, JPEG, BMP, TIFF or WebP files in this folder",
        "missing": "no such folder of images",
    }
    for name, complaint in complaints.items():
        run = score(made, tmp_path / name)
        assert run.returncode == 2
        assert run.stderr == f"error: {tmp_path / name}: {complaint}\n"
        assert not (tmp_path / "out").exists()


def test_a_damaged_detector_ends_in_one_line(made: dict, new: Path, tmp_path: Path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(made["path"].read_bytes()[:-100])
    run = score(made | {"path": broken}, new)
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert run.stderr.startswith(f"error: {broken}: not a detector, or cut short")


def test_a_detector_that_is_no_file_is_refused_at_once(made: dict, new: Path, tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.onnx")
    run = score(made | {"path": tmp_path / "pipe.onnx"}, new)
    assert (run.returncode, run.stderr) == (2, f"error: {tmp_path / 'pipe.onnx'}: is no file\n")


def test_scored_images_are_left_alone_and_new_ones_added(made: dict, new: Path):
    score(made, new)
    before = (new.parent / "out" / "scores.csv").read_bytes()
    for number in range(10):
        shutil.copy(new / "0000.png", new / f"late {number}.png")
    (new / "0001.png").touch()  # its content is known
    with open(new.parent / "out" / "scores.csv", "ab") as stream:
        stream.write(b"late 0.png,12.3")  # a run that was killed
    run = score(made, new, "--skip-scored")
    assert run.returncode == 0, run.stderr
    assert "10 images in" in run.stdout
    after = (new.parent / "out" / "scores.csv").read_bytes()
    assert after.startswith(before)
    assert len(table(new)) == 40


def test_with_nothing_new_what_was_found_stays(made: dict, new: Path):
    score(made, new, "--overlays", "all")
    out = new.parent / "out"
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    run = score(made, new, "--skip-scored")
    assert (run.returncode, run.stdout) == (0, f"no new images in {new}: {out} is left as it was\n")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_an_image_replaced_under_its_name_is_scored_again(made: dict, new: Path):
    score(made, new)
    before = {path: row["score"] for path, row in table(new).items()}
    replaced, gone = new / "0003.png", new / "0004.png"
    shutil.copy2(new / "0005.png", replaced)  # as old as the other one
    gone.unlink()
    run = score(made, new, "--skip-scored")
    assert "1 images in" in run.stdout
    after = {path: row["score"] for path, row in table(new).items()}
    assert after == before | {"0003.png": before["0005.png"]}  # what was found of `gone` stays
    rows = (new.parent / "out" / "scores.csv").read_text().splitlines()
    assert sum(row.startswith("0003.png,") for row in rows) == 2  # two parts of one name


def test_what_an_earlier_run_found_is_not_overwritten_unasked(made: dict, new: Path):
    score(made, new)
    scores = new.parent / "out" / "scores.csv"
    before = scores.read_bytes()
    run = score(made, new)
    assert run.returncode == 2
    assert run.stderr == (
        f"error: {scores}: holds rows of an earlier run; --skip-scored goes on with them, "
        "--overwrite removes them, or name another output\n"
    )
    assert scores.read_bytes() == before
    (new / "0003.png").unlink()
    assert score(made, new, "--overwrite").returncode == 0
    assert len(table(new)) == 29


def test_a_name_that_is_no_utf_8_is_scored_and_written_escaped(made: dict, new: Path):
    (new / "0001.png").rename(new / os.fsdecode(b"gr\xfcn.png"))
    (new / os.fsdecode(b"\xff.png")).write_bytes(b"no image")
    run = score(made, new, "--overlays", "all")
    assert run.returncode == 1
    rows = table(new)
    assert rows[r"gr\xfcn.png"]["verdict"] == "good"
    assert rows[r"\xff.png"]["verdict"] == "unreadable"
    assert len(rows) == 31
    assert r"gr\xfcn.png.jpg" in overlays(new)
    assert "no new images" in score(made, new, "--skip-scored").stdout


def test_a_name_that_shows_another_ones_bytes_has_a_row_of_its_own(made: dict, new: Path):
    (new / "0001.png").rename(new / os.fsdecode(b"gr\xfcn.png"))
    (new / "0002.png").rename(new / r"gr\xfcn.png")
    score(made, new, "--overlays", "all")
    assert {r"gr\xfcn.png", r"gr\\xfcn.png"} <= table(new).keys()
    assert len(overlays(new)) == len(table(new)) == 30


def test_what_is_no_file_and_a_line_break_in_a_name_are_unreadable_in_a_line_each(
    made: dict, new: Path
):
    os.mkfifo(new / "pipe.png")
    (new / "zero.png").symlink_to("/dev/zero")
    (new / "two\nlines.png").write_bytes(b"no image")
    run = score(made, new)
    assert run.returncode == 1
    unreadable = {path for path, row in table(new).items() if row["verdict"] == "unreadable"}
    assert unreadable == {"pipe.png", "zero.png", r"two\x0alines.png"}
    *_, pipe, two, zero, last = run.stderr.splitlines()
    for line, name in ((pipe, "pipe.png"), (zero, "zero.png")):
        assert line == f"unreadable: {new / name}: cannot be read (it is no file; remove it)"
    assert two.startswith(rf"unreadable: {new}/two\x0alines.png: cannot be read as an image")
    assert last.startswith("exit status 1: images that could not be read: 3")


@pytest.mark.parametrize("option", ["--skip-scored", "--overwrite", "--rotate=day"])
def test_a_table_of_another_program_is_left_as_it_is(made: dict, new: Path, option: str):
    scores = new.parent / "out" / "scores.csv"
    scores.parent.mkdir()
    scores.write_bytes(b"part,weight\r1,2\r")
    run = score(made, new, option)
    assert run.returncode == 2
    assert run.stderr == (
        f"error: {scores}: holds what is no table of this program; name another output, or move "
        "this file away\n"
    )
    assert scores.read_bytes() == b"part,weight\r1,2\r"


def test_nobody_who_listens_is_no_reason_to_stop(made: dict, new: Path):
    (new / "0003.png").write_bytes(b"no image")
    output = ["--output", str(new.parent / "out"), "--threads", "1"]
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as nobody:
        run = subprocess.run(command(made, new, *output), stdout=nobody, stderr=subprocess.PIPE)
    assert run.returncode == 1, run.stderr
    assert len(table(new)) == 30


def test_the_overlay_of_a_long_name_has_a_shorter_one(made: dict, new: Path):
    name = f"{250 * 'n'}.png"
    (new / "0029.png").rename(new / name)
    run = score(made, new, "--overlays", "defective")
    assert run.returncode == 0
    assert table(new)[name]["verdict"] == "defective"
    assert f"{short(name)}.jpg" in overlays(new)


def test_a_second_run_into_one_output_is_refused_and_leaves_it_alone(made: dict, new: Path):
    out = new.parent / "out"
    with only_writer(out):
        run = score(made, new)
        assert run.returncode == 2
        assert f"error: {out}: another run writes there" in run.stderr
        assert [path.name for path in out.iterdir()] == [".lock"]
    assert not out.exists()  # nothing was written there
    assert score(made, new).returncode == 0


def test_a_run_that_is_stopped_ends_with_the_images_at_hand(made: dict, new: Path):
    class Stops(FolderScoring):
        def record(self, read: Read) -> Row | None:
            os.kill(os.getpid(), signal.SIGTERM)
            return super().record(read)

    with patch.object(score_folder, "FolderScoring", Stops):
        run = score(made, new)
    assert run.returncode == 130
    assert "stopped before the end; --skip-scored goes on" in run.stderr
    scored = len(table(new))
    assert 0 < scored < 30
    assert f"{30 - scored} images in" in score(made, new, "--skip-scored").stdout


def test_a_file_over_which_a_decoder_stumbles_is_unreadable_and_the_others_are_scored(
    made: dict, new: Path
):
    def stumbles(path: Path, settings: dict) -> Decoded:
        if path.name == "0003.png":
            raise EOFError("no more data")
        return whole_image(path, settings)

    with patch.object(reading, "whole_image", stumbles):
        run = score(made, new)
    assert run.returncode == 1
    assert (
        f"unreadable: {new / '0003.png'}: cannot be decoded (EOFError: no more data)" in run.stderr
    )
    assert len(table(new)) == 30


def test_the_summary_of_a_run_stays_beside_its_table_when_the_next_one_rotates(
    made: dict, new: Path
):
    score(made, new)
    out = new.parent / "out"
    summary = (out / "summary.json").read_bytes()
    shutil.copy(new / "0000.png", new / "late.png")
    score(made, new, "--skip-scored", "--rotate", "0.001")
    (closed,) = out.glob("summary_*.json")
    assert closed.read_bytes() == summary
    assert json.loads((out / "summary.json").read_text())["images"] == 1


def test_tables_are_called_by_their_date_when_they_are_full(made: dict, new: Path):
    out = new.parent / "out"
    assert score(made, new, "--rotate", "0.002").returncode == 0
    names = [file.name for file in table_files(out)]
    assert names[-1] == "scores.csv"
    assert re.fullmatch(r"scores_\d{4}-\d\d-\d\d.csv", names[0])
    assert names[1] == names[0].replace(".csv", "_2.csv")
    assert len({row["path"] for row in read_rows(out)}) == 30
    full = out / names[0]
    assert full.stat().st_size >= 2000
    summary = json.loads(
        (out / names[0].replace("scores", "summary").replace("csv", "json")).read_text()
    )
    assert summary["images"] == len(full.read_text().splitlines()) - 1
    assert "no new images" in score(made, new, "--skip-scored").stdout


def test_scores_at_another_threshold_or_of_another_detector_are_not_gone_on_with(
    made: dict, new: Path
):
    score(made, new)
    out = new.parent / "out"
    before = (out / "scores.csv").read_bytes()
    run = score(made, new, "--skip-scored", "--rate", "0.1")
    assert run.returncode == 2
    assert "scores.csv: scored at the threshold" in run.stderr
    assert (out / "scores.csv").read_bytes() == before
    threshold = repr(made["metadata"]["threshold"]["value"]).encode()
    rounded = f"{made['metadata']['threshold']['value']:.15g}".encode() + b"0"
    (out / "scores.csv").write_bytes(before.replace(threshold, rounded))
    assert "no new images" in score(made, new, "--skip-scored").stdout  # it is the same value
    detector = before.strip().rpartition(b",")[2]
    (out / "scores.csv").write_bytes(before.replace(detector, b"0" * 16))
    run = score(made, new, "--skip-scored")
    assert run.returncode == 2
    assert "scored by another detector" in run.stderr


@pytest.mark.parametrize("which", ["defective", "all"])
def test_overlays_are_drawn_on_request(made: dict, new: Path, which: str):
    assert score(made, new, "--overlays", which).returncode == 0
    rows = table(new)
    wanted = {path for path, row in rows.items() if which == "all" or row["verdict"] == "defective"}
    drawn = {path.name.removesuffix(".jpg") for path in (new.parent / "out" / "overlays").iterdir()}
    assert drawn == wanted


def test_an_overlay_is_the_picture_that_the_benchmark_draws(made: dict, new: Path):
    score(made, new, "--overlays", "all")
    image = decoded_image(new / "0029.png", made["metadata"])
    (anomaly_map,) = Detector(made["path"], 1).score(image.pixels[None]).maps
    scale = MapScale(**made["metadata"]["map_scale"])
    with Image.open(new / "0029.png") as photograph:
        expected = draw_panels(
            photograph, anomaly_map, None, scale, made["metadata"]["preprocessing"], side=40
        )  # its own size
    with Image.open(new.parent / "out" / "overlays" / "0029.png.jpg") as drawn:
        assert drawn.size == expected.size
        error = np.asarray(drawn, float) - np.asarray(expected, float)
    assert np.abs(error).mean() < 4  # of the JPEG


def test_where_the_network_sees_a_crop_the_overlay_shows_that_crop(made: dict, new: Path):
    cropped = {"interpolation": "lanczos", "size": 40, "crop": 24}
    detector = SimpleNamespace(metadata=made["metadata"] | {"preprocessing": cropped})
    image = decoded_image(new / "0029.png", detector.metadata)
    drawn = picture(detector, image, np.zeros((8, 8)), 1024)
    np.testing.assert_array_equal(np.asarray(drawn)[:, :24], image.pixels)


def overlays(images: Path) -> set[str]:
    folder = images.parent / "out" / "overlays"
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_overlays_of_an_earlier_run_do_not_stay(made: dict, new: Path):
    (new / "line 2").mkdir()
    shutil.copy(new / "0029.png", new / "line 2" / "gone.png")
    score(made, new, "--overlays", "defective")
    assert {"0028.png.jpg", "0029.png.jpg", "line 2/gone.png.jpg"} <= overlays(new)
    (new.parent / "out" / "overlays" / "mine.jpg").touch()
    shutil.copy(new / "0000.png", new / "0029.png")
    (new / "line 2" / "gone.png").unlink()
    score(made, new, "--overlays", "defective", "--overwrite")
    defective = {path for path, row in table(new).items() if row["verdict"] == "defective"}
    assert "0028.png" in defective
    assert "0029.png" not in defective
    assert overlays(new) == {f"{path}.jpg" for path in defective} | {"mine.jpg"}
    score(made, new, "--overwrite")
    assert overlays(new) == {"mine.jpg"}


def test_of_skipped_images_the_overlays_stay_and_one_scored_again_loses_its_old_one(
    made: dict, new: Path
):
    score(made, new, "--overlays", "defective")
    before = overlays(new)
    scores = new.parent / "out" / "scores.csv"
    lines = scores.read_text().splitlines(keepends=True)
    scores.write_text("".join(line for line in lines if not line.startswith("0029.png")))
    shutil.copy(new / "0000.png", new / "0029.png")
    score(made, new, "--overlays", "defective", "--skip-scored")
    assert table(new)["0029.png"]["verdict"] == "good"
    assert overlays(new) == before - {"0029.png.jpg"}


def test_the_output_inside_the_images_folder_is_not_scored(made: dict, new: Path):
    for _ in range(2):
        run = score(made, new, "--overlays", "all", "--overwrite", "--output", str(new / "out"))
        assert "30 images in" in run.stdout, run.stderr
