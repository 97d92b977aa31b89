"""One job per category: every image decoded once, and only what is missing extracted."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from defectbench.errors import InputError
from defectbench.features import category, decoded, finished
from defectbench.features.category import write_features
from defectbench.features.devices import Machine
from defectbench.features.feature_file import Pass, Tap
from defectbench.features.finished import kept_name
from defectbench.images import decoding
from defectbench.provenance import file_sha256
from defectbench.storage import open_h5, read_attributes

LANCZOS = {"interpolation": "lanczos", "size": 48}
BILINEAR = {"interpolation": "bilinear", "size": 40}
CPU = Machine("cpu", "fp32", threads=2)
OUTPUT = "features.h5"


@pytest.fixture(scope="module")
def files(small_dataset: Path) -> list[Path]:
    """Two blocks of images, the second not full."""
    found = sorted(small_dataset.glob("*/*/*/*.png"))
    found = [path for path in found if "ground_truth" not in path.parts]
    assert decoded.BLOCK < len(found) < 2 * decoded.BLOCK
    return found


class Calls:
    """Images decoded, and images that went through a network, by its taps."""

    def __init__(self) -> None:
        self.decoded: list[Path] = []
        self.forward: dict[tuple[str, ...], int] = {}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    from defectbench.features.extraction import Extractor

    noted, load, forward = Calls(), decoding.load_image, Extractor.__call__

    def noting_load(file: Path, bits: int | None):
        noted.decoded.append(file)
        return load(file, bits)

    def noting_forward(self: Extractor, images: np.ndarray, files: list[Path]):
        features = forward(self, images, files)
        taps = tuple(sorted(features))
        noted.forward[taps] = noted.forward.get(taps, 0) + len(images)
        return features

    monkeypatch.setattr(decoding, "load_image", noting_load)
    monkeypatch.setattr(Extractor, "__call__", noting_forward)
    return noted


def contents(files: list[Path]) -> list[tuple[Path, str]]:
    return [(file, file_sha256(file)) for file in files]


def lanczos(tiny: Path, *taps: Tap) -> Pass:
    return Pass("lanczos48", LANCZOS, "test_resnet", tiny, taps or (Tap("layer2", 2),))


def bilinear(tiny: Path) -> Pass:
    return Pass("bilinear40", BILINEAR, "test_resnet", tiny, (Tap("layer1", 1), Tap("fc", 1)))


def run(
    files: list[Path], passes: list[Pass], output: Path, machine: Machine = CPU, **made: object
) -> dict[str, np.ndarray]:
    """Write a feature file and read what it holds."""
    provenances = {wanted.name: {"preprocessing": wanted.settings, **made} for wanted in passes}
    write_features(contents(files), passes, provenances, machine, output, "test")
    with open_h5(output) as file:
        return {
            f"{wanted.name}/{tap.name}": file[wanted.name][tap.name][()]
            for wanted in passes
            for tap in wanted.taps
        }


@pytest.fixture
def before(files: list[Path], tiny: Path, calls: Calls, tmp_path: Path) -> dict:
    """What an earlier job has extracted, into the file `OUTPUT` of the test's own folder."""
    found = run(files, [lanczos(tiny)], tmp_path / OUTPUT)
    calls.forward.clear()
    return found


def test_every_image_is_decoded_once_for_all_passes(
    files: list[Path], tiny: Path, calls: Calls, tmp_path: Path
):
    found = run(files, [bilinear(tiny), lanczos(tiny)], tmp_path / "features.h5")
    assert sorted(calls.decoded) == files
    assert {name: values.shape for name, values in found.items()} == {
        "bilinear40/test_resnet/layer1/pool1": (len(files), 32, 10, 10),
        "bilinear40/test_resnet/fc/pool1": (len(files), 1000),
        "lanczos48/test_resnet/layer2/pool2": (len(files), 48, 3, 3),
    }
    assert all(values.dtype == np.float32 for values in found.values())


def test_a_file_made_in_steps_has_the_bytes_of_one_made_at_once(
    files: list[Path], tiny: Path, calls: Calls, tmp_path: Path
):
    both = [bilinear(tiny), lanczos(tiny)]
    run(files, both, tmp_path / "at once.h5")
    for order in (both, both[::-1]):
        output = tmp_path / order[0].preprocessing / "features.h5"
        calls.decoded.clear()
        calls.forward.clear()
        run(files, order[:1], output)
        run(files, order, output)
        taps = [tuple(sorted(tap.name for tap in wanted.taps)) for wanted in both]
        assert calls.forward == dict.fromkeys(taps, len(files))  # each once, in its own step
        assert output.read_bytes() == (tmp_path / "at once.h5").read_bytes()


def test_an_added_layer_is_extracted_alone(
    files: list[Path], tiny: Path, calls: Calls, tmp_path: Path
):
    output = tmp_path / "features.h5"
    before = run(files, [bilinear(tiny), lanczos(tiny)], output)
    calls.forward.clear()
    more = lanczos(tiny, Tap("layer1", 2), Tap("layer2", 2))
    after = run(files, [bilinear(tiny), more], output)
    assert calls.forward == {("layer1/pool2",): len(files)}
    assert all(np.array_equal(after[name], values) for name, values in before.items())


@pytest.mark.parametrize("added", ["layer1", "conv1.0"], ids=["a block", "a convolution"])
def test_an_added_layer_ends_in_the_bytes_of_one_that_was_there_from_the_start(
    added: str, files: list[Path], tiny: Path, tmp_path: Path
):
    first, both = lanczos(tiny), lanczos(tiny, Tap(added, 2), Tap("layer2", 2))
    run(files[:3], [first], tmp_path / "features.h5")
    run(files[:3], [both], tmp_path / "features.h5")
    run(files[:3], [both], tmp_path / "at once.h5")
    assert (tmp_path / "features.h5").read_bytes() == (tmp_path / "at once.h5").read_bytes()


def test_if_nothing_is_missing_no_image_is_decoded_and_no_network_loaded(
    before: dict, files: list[Path], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    output = tmp_path / OUTPUT
    content = output.read_bytes()
    output.unlink()  # as Snakemake does before the job
    monkeypatch.setattr(category, "prepared_extractors", lambda *_: pytest.fail("networks loaded"))
    monkeypatch.setattr(category, "decode_ahead", lambda *_: pytest.fail("images were decoded"))
    run(files, [lanczos(tiny)], output, Machine("auto", "auto", 1))
    assert output.read_bytes() == content


@pytest.mark.parametrize(
    ("machine", "made"),
    [(CPU, {"weights_sha256": "other"}), (Machine("cpu", "bf16", 2), {})],
    ids=["other weights", "other precision"],
)
@pytest.mark.usefixtures("before")
def test_what_would_come_out_otherwise_now_is_extracted_anew(
    machine: Machine, made: dict, files: list[Path], tiny: Path, calls: Calls, tmp_path: Path
):
    run(files, [lanczos(tiny)], tmp_path / OUTPUT, machine, **made)
    assert calls.forward == {("layer2/pool2",): len(files)}
    with open_h5(tmp_path / OUTPUT) as file:
        provenance = read_attributes(file["lanczos48/test_resnet"])["provenance"]
    expected = {"preprocessing": LANCZOS, "device": "CPU", "precision": machine.precision}
    assert provenance == expected | made


@pytest.mark.parametrize("damage", ["truncated", "bit flipped", "no HDF5"])
def test_a_damaged_earlier_file_is_no_obstacle(
    damage: str, before: dict, files: list[Path], tiny: Path, calls: Calls, tmp_path: Path
):
    output = tmp_path / OUTPUT
    with h5py.File(output) as file:
        chunk = file["lanczos48/test_resnet/layer2/pool2"].id.get_chunk_info(0)
    content = bytearray(output.read_bytes())
    content[chunk.byte_offset + 100] ^= 1
    spoilt = {"truncated": content[: len(content) // 2], "no HDF5": b"", "bit flipped": content}
    kept_name(output).write_bytes(spoilt[damage])
    after = run(files, [lanczos(tiny)], output)
    assert calls.forward == {("layer2/pool2",): len(files)}
    assert all(np.array_equal(after[name], values) for name, values in before.items())


@pytest.mark.usefixtures("before")
def test_a_failed_job_leaves_what_earlier_ones_extracted(
    files: list[Path], tiny: Path, calls: Calls, tmp_path: Path
):
    output = tmp_path / OUTPUT
    output.unlink()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"broken\.png"):
        run([*files[1:], broken], [lanczos(tiny), bilinear(tiny)], output)
    left = [path.name for path in tmp_path.iterdir() if path != broken]
    assert sorted(left) == [".features.blocks", kept_name(output).name]
    calls.forward.clear()
    run(files, [lanczos(tiny), bilinear(tiny)], output)
    # of the one pass all is kept, of the other a block without the first image
    assert calls.forward == {("fc/pool1", "layer1/pool1"): len(files) - decoded.BLOCK}


def stop_after(blocks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next extraction end like a killed one, when so many blocks are stored."""
    store, stored = category.write_block, []

    def stopping(*block: object) -> Path:
        if len(stored) == blocks:
            monkeypatch.setattr(category, "write_block", store)
            raise KeyboardInterrupt
        stored.append(store(*block))
        return stored[-1]

    monkeypatch.setattr(category, "write_block", stopping)


@pytest.mark.parametrize("damage", [None, "bit flipped"])
def test_an_extraction_that_stops_keeps_its_blocks_and_ends_in_the_same_bytes(
    damage: str | None,
    files: list[Path],
    tiny: Path,
    calls: Calls,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    passes, taps = [lanczos(tiny), bilinear(tiny)], ("fc/pool1", "layer1/pool1")
    run(files, passes, tmp_path / "at once.h5")
    monkeypatch.setattr(decoded, "BLOCK", 8)
    stop_after(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(files, passes, tmp_path / "features.h5")
    assert not (tmp_path / "features.h5").exists()
    if damage:
        block = min(tmp_path.glob(".features.blocks/*/*.h5"))
        with h5py.File(block) as file:
            chunk = file["lanczos48/test_resnet/layer2/pool2"].id.get_chunk_info(0)
        content = bytearray(block.read_bytes())
        content[chunk.byte_offset + 100] ^= 1
        block.write_bytes(content)
    calls.forward.clear()
    run(files, passes, tmp_path / "features.h5")
    left = len(files) - 24
    assert calls.forward == {taps: left, ("layer2/pool2",): left + (8 if damage else 0)}
    assert (tmp_path / "features.h5").read_bytes() == (tmp_path / "at once.h5").read_bytes()
    assert not (tmp_path / ".features.blocks").exists()


def test_an_image_that_is_not_that_of_the_index_leaves_no_features(
    files: list[Path], tiny: Path, tmp_path: Path
):
    images, wanted = contents(files), lanczos(tiny)
    images[3] = (images[3][0], images[4][1])
    with pytest.raises(InputError, match=rf"{files[3]}: changed while .* same command again"):
        write_features(images, [wanted], {wanted.name: {}}, CPU, tmp_path / "features.h5", "test")
    assert list(tmp_path.rglob("*.h5")) == []


def test_features_follow_their_images_wherever_these_stand(
    files: list[Path], tiny: Path, calls: Calls, tmp_path: Path
):
    wanted = [lanczos(tiny)]
    run(files[:40], wanted, tmp_path / "features.h5")
    calls.forward.clear()
    now = [*files[45:50], *files[30:10:-1], *files[:5]]  # added, in another order, some gone
    run(now, wanted, tmp_path / "features.h5", images_sha256="others")
    assert calls.forward == {("layer2/pool2",): 5}
    run(now, wanted, tmp_path / "at once.h5", images_sha256="others")
    assert (tmp_path / "features.h5").read_bytes() == (tmp_path / "at once.h5").read_bytes()


def test_rows_of_another_device_are_never_mixed_in(
    files: list[Path], tiny: Path, calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from defectbench.features import device_choice

    either, output = Machine("auto", "fp32", 2), tmp_path / "features.h5"
    with monkeypatch.context() as gpu:
        gpu.setattr(device_choice, "device_name", lambda _: "a GPU")
        run(files[:40], [lanczos(tiny), bilinear(tiny)], output, either)
    calls.forward.clear()
    run(files[:40], [lanczos(tiny), bilinear(tiny)], output, either)
    assert calls.forward == {}
    run(files[:45], [lanczos(tiny)], output, either)
    assert calls.forward == {("layer2/pool2",): 45}
    with open_h5(output) as file:
        assert read_attributes(file["lanczos48/test_resnet"])["provenance"]["device"] == "CPU"


def test_a_job_that_works_on_does_not_disturb_the_next(
    files: list[Path], tiny: Path, calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    output, store = tmp_path / "features.h5", category.write_block

    def meanwhile(*block: object) -> Path:
        monkeypatch.setattr(category, "write_block", store)
        stored = store(*block)
        calls.forward.clear()
        run(files, [lanczos(tiny)], output)
        assert calls.forward == {("layer2/pool2",): len(files) - decoded.BLOCK}
        return stored

    monkeypatch.setattr(category, "write_block", meanwhile)
    with pytest.raises(InputError, match="run the same command again"):
        run(files, [lanczos(tiny)], output)
    content = output.read_bytes()
    calls.forward.clear()
    run(files, [lanczos(tiny)], output)
    assert calls.forward == {}
    assert output.read_bytes() == content


def test_half_precision_takes_half_the_room_and_stores_what_it_is_asked_for(
    files: list[Path], tiny: Path, tmp_path: Path
):
    wanted = lanczos(tiny, Tap("layer1", 1))
    exact = run(files, [wanted], tmp_path / "fp32.h5")
    half = run(files, [wanted], tmp_path / "fp16.h5", Machine("cpu", "fp32", 2, "fp16"))
    for name, values in half.items():
        assert values.dtype == np.float16
        np.testing.assert_array_equal(values, exact[name].astype(np.float16))
    sizes = [(tmp_path / name).stat().st_size for name in ("fp32.h5", "fp16.h5")]
    assert sizes[1] < 0.6 * sizes[0]


@pytest.mark.usefixtures("before")
def test_the_second_name_takes_no_room(tmp_path: Path):
    assert kept_name(tmp_path / OUTPUT).samefile(tmp_path / OUTPUT)


def test_without_links_everything_is_extracted_again(
    files: list[Path],
    tiny: Path,
    calls: Calls,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    def no_links(*_: object) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(finished.os, "link", no_links)
    for _ in range(2):
        run(files, [lanczos(tiny)], tmp_path / "features.h5")
    assert calls.forward == {("layer2/pool2",): 2 * len(files)}


def test_the_size_of_a_block_changes_nothing(
    files: list[Path], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run(files, [lanczos(tiny)], tmp_path / "a.h5")
    monkeypatch.setattr(decoded, "BLOCK", 5)
    run(files, [lanczos(tiny)], tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_blocks_keep_the_order_of_the_files(files: list[Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decoded, "BLOCK", 3)
    monkeypatch.setattr(decoded, "AHEAD", 6)
    small = {"interpolation": "lanczos", "size": 8}
    found = list(decoded.decode_ahead(contents(files), {"small": small}, 2))
    assert [len(block) for block in found] == [3] * (len(files) // 3) + [len(files) % 3]
    expected = [decoding.preprocess(decoding.load_image(file), small) for file in files]
    np.testing.assert_array_equal([image["small"] for b in found for image in b], expected)
