"""What tiles cost beside an image that is one: peak memory and time of extractions.

Made by ``make bench-tiles``: a process of its own extracts features of generated photographs that
are as large as a tile, another one those of large ones in such tiles; then the exported detector's
network alone, in ONNX Runtime, takes one photograph of either kind.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from measuring import ROOT, processor
from PIL import Image
from tabulate import tabulate

REPORT = ROOT / "reports" / "tiles.md"
SMALL, LARGE = (512, 512), (2048, 4096)
TILES = {"size": 512, "overlap": 64}
LAYER = "blocks.4"
HEADER = ("photograph", "decoded, MB", "peak, MB", "s a photograph")
WORDS = """# Large images in tiles

Made by `make bench-tiles` (tests/bench/tiled_images.py) on {processor}: {images} generated
photographs of each size, features of `{layer}` of an EfficientNet-Lite0 as rule `features` extracts
them, one thread. A photograph of 4096×2048 is {tiles} tiles of 512 with an overlap of 64 or more.
*Decoded*: the bytes of all its pixels, 3 each.

{table}

Without its own decoded pixels a process with large photographs takes {ratio:.2f} of the memory
of one with photographs of 512×512. A photograph takes {times:.0f} times as long, {per_tile:.2f}
of the time for each tile.
"""


def photographs(folder: Path, shape: tuple[int, int], count: int) -> list[Path]:
    """Smooth noise that a codec can deal with, of one shape."""
    rng, files = np.random.default_rng(42), []
    for number in range(count):
        height, width = shape
        coarse = rng.integers(60, 200, (height // 32, width // 32, 3), np.uint8)
        image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        files.append(folder / f"{number}.png")
        image.save(files[-1], compress_level=1)
    return files


def extract(folder: str, weights: str) -> dict[str, float]:
    """Peak memory of the extraction of all images of a folder, and seconds for each."""
    from defectbench.features.category import write_features
    from defectbench.features.devices import Machine
    from defectbench.features.feature_file import Pass, Tap
    from defectbench.images.canvas import with_canvas
    from defectbench.provenance import file_sha256, peak_memory_mb

    files = sorted(Path(folder).glob("*.png"))
    with Image.open(files[0]) as image:
        width, height = image.size
    how = {"interpolation": "lanczos", "size": "original"}
    if (height, width) != SMALL:
        how["tiles"] = TILES
    settings = with_canvas(how, [(height, width)])
    wanted = Pass("tiles", settings, "efficientnet_lite0", Path(weights), (Tap(LAYER, 1),))
    images = [(file, file_sha256(file)) for file in files]
    machine, output = Machine("cpu", "fp32", threads=1), Path(folder, "features.h5")
    took = write_features(images, [wanted], {wanted.name: {}}, machine, output, "bench")
    tiles = 1 if wanted.tiling is None else len(wanted.tiling)
    return {"mb": peak_memory_mb(), "seconds": took[wanted.name] / 1000, "tiles": tiles}


def measured(folder: Path, weights: str) -> dict[str, float]:
    """`extract` in a process of its own."""
    command = [sys.executable, __file__, "--extract", str(folder), "--weights", weights]
    return json.loads(subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--weights", default="resources/weights/efficientnet_lite0.pth")
    parser.add_argument("--extract")
    arguments = parser.parse_args()
    if arguments.extract:
        print(json.dumps(extract(arguments.extract, arguments.weights)))
        return
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, shape in (("512×512", SMALL), ("4096×2048", LARGE)):
            folder = Path(scratch, name)
            folder.mkdir()
            photographs(folder, shape, arguments.images)
            found[name] = measured(folder, arguments.weights) | {"pixels": 3 * np.prod(shape) / 1e6}
    small, large = found.values()
    rows = [
        [name, f"{each['pixels']:.1f}", f"{each['mb']:.0f}", f"{each['seconds']:.2f}"]
        for name, each in found.items()
    ]
    times = large["seconds"] / small["seconds"]
    REPORT.write_text(
        WORDS.format(
            processor=processor(),
            images=arguments.images,
            layer=LAYER,
            tiles=large["tiles"],
            table=tabulate(rows, HEADER, "github", disable_numparse=True),
            ratio=(large["mb"] - large["pixels"]) / small["mb"],
            times=times,
            per_tile=times / large["tiles"],
        ),
        encoding="utf-8",
    )
    print(REPORT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
