"""Generated images and masks, sound and damaged: each is read right or refused in one line.

What a format cannot tell is counted apart: of all formats here, PNG alone has checksums.
"""

import argparse
import contextlib
import io
import os
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image
from pngs import DEPTHS, random_png
from tiffs import GREY_WHITE_ZERO, tiff

from defectbench.errors import InputError
from defectbench.images.decoding import Seen, load_image, look_at, reading
from defectbench.images.indexing import index_category
from defectbench.images.mask_pixels import load_mask

SHAPE = (40, 56)
CHECKED = frozenset({".png"})
"""Suffixes of files whose damage is always noticed."""

Made = tuple[str, bytes, np.ndarray | None]
"""Suffix, content, and the pixels that are to come of it; None where the format loses some."""


def main() -> int:
    """Try them all; exit status 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="of all kinds, each damaged anew")
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary, silent_libraries():
        folder = Path(temporary)
        for _ in range(options.rounds):
            sound = list(sound_images(rng))
            found += Counter(judged(sound_image, folder, *made) for made in sound)
            damaged = [(suffix, mutated(content, rng), content) for suffix, content, _ in sound]
            found += Counter(judged(damaged_image, folder, *made) for made in damaged)
            found[judged(indexed, folder, damaged)] += 1
            for name, content, marks in sound_masks(rng):
                found[judged(sound_mask, folder, name, content, marks)] += 1
                found[judged(damaged_mask, folder, name, mutated(content, rng), marks)] += 1
    for what, count in sorted(found.items()):
        print(f"{count:6} {what}")
    return int(any(what.startswith("WRONG") for what in found))


def judged(check: Callable[..., str], *arguments: Any) -> str:
    """What a check says, or where it ended in another error than one for the user."""
    try:
        return check(*arguments)
    except Exception:
        return f"WRONG: {traceback.format_exc()}"


@contextlib.contextmanager
def silent_libraries() -> Iterator[None]:
    """Without what C libraries write to standard error of damaged files."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)


def sound_images(rng: np.random.Generator) -> Iterator[Made]:
    """Images of every kind and depth, of random pixels."""
    grey = rng.integers(0, 256, SHAPE, np.uint8)
    colours = rng.integers(0, 256, (*SHAPE, 3), np.uint8)
    deep = rng.integers(0, 1 << 16, (*SHAPE, 3), np.uint16)
    for pixels in (grey, colours):
        for suffix, kind, options in (
            (".png", "PNG", {}),
            (".bmp", "BMP", {}),
            (".tif", "TIFF", {}),
            (".tif", "TIFF", {"compression": "tiff_lzw"}),
            (".tif", "TIFF", {"compression": "tiff_deflate"}),
            (".webp", "WEBP", {"lossless": True}),
        ):
            shown = np.dstack([pixels] * 3) if suffix == ".webp" and pixels.ndim == 2 else pixels
            yield suffix, encoded(pixels, kind, **options), shown
        for suffix, kind, options in (
            (".jpg", "JPEG", {}),
            (".jpg", "JPEG", {"progressive": True}),
            (".jpg", "JPEG", {"restart_marker_blocks": int(rng.integers(1, 9))}),
            (".webp", "WEBP", {}),
            (".tif", "TIFF", {"compression": "jpeg"}),
        ):
            yield suffix, encoded(pixels, kind, **options), None
        for order in "<>":
            yield ".tif", tiff(pixels, order=order, planar=pixels.ndim == 3), pixels
    for order in "<>":
        yield ".tif", tiff(deep, order=order), deep >> 8
        yield ".tif", tiff(deep, order=order, planar=True), deep >> 8
        yield ".tif", tiff(deep[..., 0], order=order), deep[..., 0] >> 8
    yield ".tif", tiff(deep[..., 0], photometric=GREY_WHITE_ZERO), 255 - (deep[..., 0] >> 8)
    yield ".tif", tiff(grey, photometric=GREY_WHITE_ZERO), 255 - grey
    yield ".tif", tiff(grey, 255 - grey), grey
    yield ".png", imagecodecs.png_encode(deep), deep >> 8
    yield ".tif", imagecodecs.tiff_encode(deep, compression="lzw", predictor=True), deep >> 8
    for kind, depths in DEPTHS.items():
        for depth in depths:
            interlaced = bool(rng.integers(2))
            yield ".png", random_png(kind, depth, interlaced=interlaced), None


def encoded(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """A file with a flipped bit, a span zeroed, left out, doubled or exchanged, or cut short."""
    start, length = int(rng.integers(len(content))), int(rng.integers(1, len(content) // 4))
    before, span, after = (
        content[:start],
        content[start : start + length],
        content[start + length :],
    )
    flipped = bytes([span[0] ^ 1 << int(rng.integers(8))]) + span[1:]
    noise = rng.bytes(len(span))
    kinds = (
        before + flipped + after,
        before + bytes(len(span)) + after,
        before + noise + after,
        before + after,
        before + span + span + after,
        before,
        content[:-1],
    )
    return kinds[int(rng.integers(len(kinds)))]


def stored(folder: Path, suffix: str, content: bytes) -> Path:
    file = folder / f"image{suffix}"
    file.write_bytes(content)
    return file


def loaded(file: Path) -> np.ndarray | str:
    """Pixels of an image, or why there are none; the index must say the same."""
    image, seen = told(load_image, file), told(looked_at, file)
    if isinstance(image, str) or isinstance(seen, str):
        assert image == seen, (image, seen)
        return str(image)
    assert image.size == seen.size, (image.size, seen.size)
    return np.asarray(image)


def looked_at(file: Path) -> Seen:
    with reading(file):
        return look_at(file.read_bytes())


def told(read: Callable[[Path], Any], file: Path) -> Any:
    """What is read of a file, or why it is refused."""
    try:
        return read(file)
    except InputError as error:
        return str(error)


def sound_image(folder: Path, suffix: str, content: bytes, pixels: np.ndarray | None) -> str:
    """A sound image is read, and right."""
    found = loaded(stored(folder, suffix, content))
    if isinstance(found, str):
        return f"WRONG: a sound image refused: {found}"
    if pixels is not None and not np.array_equal(found, pixels):
        return f"WRONG: other pixels of a sound {suffix} of {pixels.shape}"
    return "sound images read right" if pixels is not None else "sound images read"


def damaged_image(folder: Path, suffix: str, content: bytes, sound: bytes) -> str:
    """A damaged image is refused, or read as if it were not damaged."""
    before, after = loaded(stored(folder, suffix, sound)), loaded(stored(folder, suffix, content))
    if isinstance(after, str):
        return "damaged images refused"
    if np.array_equal(before, after):
        return "damaged images with their right pixels"
    if suffix in CHECKED:
        return f"WRONG: other pixels of a damaged {suffix}"
    return f"damaged {suffix} with other pixels, of which the format cannot tell"


def indexed(folder: Path, damaged: list[tuple[str, bytes, bytes]]) -> str:
    """The index refuses those images of a category that the loader refuses, and no other."""
    category = folder / "category"
    shutil.rmtree(category, ignore_errors=True)
    for split in ("train", "test"):
        (category / split / "good").mkdir(parents=True)
    Image.new("L", (9, 9)).save(category / "test" / "good" / "sound.png")
    refused = set()
    for number, (suffix, content, _) in enumerate(damaged):
        file = category / "train" / "good" / f"{number:03}{suffix}"
        file.write_bytes(content)
        if isinstance(loaded(file), str):
            refused.add(file.name)
    try:
        index_category(category)
        named = set()
    except InputError as error:
        lines = str(error).splitlines()[1:]
        named = {Path(line.strip().split(": cannot be read")[0]).name for line in lines}
    return "categories indexed" if named == refused else f"WRONG: refused {named ^ refused}"


def sound_masks(rng: np.random.Generator) -> Iterator[tuple[str, bytes, np.ndarray]]:
    """Masks of every kind with what they mark: half of a mask at most."""
    marks = np.zeros(SHAPE, bool)
    top, left = rng.integers(0, 20, 2)
    marks[top : top + rng.integers(8, 17), left : left + rng.integers(8, 30)] = True
    grey, colours = np.uint8(255) * marks, np.dstack([marks, marks * 0, marks * 0]).astype(np.uint8)
    yield "mask.png", encoded(grey, "PNG"), marks
    yield "mask.png", encoded(marks, "PNG"), marks
    yield "mask.png", encoded(marks.astype(np.uint8), "PNG"), marks
    yield "mask.png", encoded(colours * 77, "PNG"), marks
    yield "mask.png", encoded(marks * np.uint16(3), "PNG"), marks
    yield "mask.png", encoded(np.dstack([255 + grey * 0] * 3 + [grey]), "PNG"), marks
    yield "mask.tif", tiff((~marks) * np.uint16(65535), photometric=GREY_WHITE_ZERO), marks
    yield "mask.bmp", encoded(grey, "BMP"), marks


def marked(folder: Path, name: str, content: bytes) -> np.ndarray | str:
    (folder / name).write_bytes(content)
    return told(lambda file: load_mask(file, SHAPE[1], SHAPE[0]).marked, folder / name)


def sound_mask(folder: Path, name: str, content: bytes, marks: np.ndarray) -> str:
    """A sound mask marks what it is meant to mark."""
    found = marked(folder, name, content)
    right = not isinstance(found, str) and np.array_equal(found, marks)
    return "sound masks read right" if right else f"WRONG: a sound {name}: {found}"


def damaged_mask(folder: Path, name: str, content: bytes, marks: np.ndarray) -> str:
    """A damaged mask is refused, or marks what it did."""
    found = marked(folder, name, content)
    if isinstance(found, str):
        return "damaged masks refused"
    if np.array_equal(found, marks):
        return "damaged masks with their right marks"
    if Path(name).suffix in CHECKED:
        return f"WRONG: other marks of a damaged {name}"
    return f"damaged {Path(name).suffix} masks with other marks, of which the format cannot tell"


if __name__ == "__main__":
    sys.exit(main())
