"""The work itself, in plain loops without this project's code: what nothing can be faster than.

Decoding (Pillow or imagecodecs, whichever is faster, each file once, then Pillow's resize), the
forward pass (torchvision's network, channels last, images in memory) and the fits (principal
components from the Gram matrix). Prints seconds of wall and CPU time as JSON: of decoding and of
the pass per image, of a fit in all, and of importing PyTorch and loading the network.
"""

import argparse
import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits

RESIZES = {"lanczos": Image.Resampling.LANCZOS, "bilinear": Image.Resampling.BILINEAR}
CPU_BATCH, GPU_BATCH = 8, 32
FITS = 6  # one, and one per fold that is held out

Seconds = dict[str, float]


@contextlib.contextmanager
def clock(per: int = 1) -> Iterator[Seconds]:
    """Wall and CPU seconds of the block, all threads, divided by `per`."""
    found: Seconds = {}
    wall, cpu = time.perf_counter(), time.process_time()
    yield found
    found["wall"] = (time.perf_counter() - wall) / per
    found["cpu"] = (time.process_time() - cpu) / per


def decode(files: list[Path], threads: int, resizes: list[tuple[str, int]]) -> dict[str, Seconds]:
    """Seconds per image by decoder."""

    def with_pillow(file: Path) -> Image.Image:
        return Image.open(file).convert("RGB")

    def with_imagecodecs(file: Path) -> Image.Image:
        return Image.fromarray(imagecodecs.png_decode(file.read_bytes()))

    def work(read: Callable[[Path], Image.Image], file: Path) -> None:
        image = read(file)
        for kind, side in resizes:
            image.resize((side, side), RESIZES[kind]).convert("RGB")

    found = {}
    for name, read in (("pillow", with_pillow), ("imagecodecs", with_imagecodecs)):
        with ThreadPoolExecutor(threads) as pool, clock(len(files)) as found[name]:
            for done in [pool.submit(work, read, file) for file in files]:
                done.result()
    return found


def fit(X: np.ndarray) -> Seconds:
    """Seconds of principal components from the Gram matrix, and of projecting; one thread."""
    with threadpool_limits(1, "blas"), clock() as seconds:
        for _ in range(FITS):
            centred = X - X.mean(axis=0)
            values, vectors = np.linalg.eigh(centred @ centred.T)
            components = (vectors.T @ centred)[values > values[-1] * 1e-6]
            X @ components.T
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("category", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--layer", required=True)
    parser.add_argument("--pool", type=int, default=2)
    parser.add_argument("--resizes", nargs="+", required=True, help="such as lanczos256")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--images", type=int, default=60, help="to decode and to pass, at most")
    arguments = parser.parse_args()
    resizes = [(name.rstrip("0123456789"), int(name[-3:])) for name in arguments.resizes]
    side = resizes[0][1]

    with clock() as startup:
        import torch
        from torchvision.models import get_model
        from torchvision.models.feature_extraction import create_feature_extractor

        torch.set_num_threads(arguments.threads)
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[arguments.precision]
        torch.backends.cudnn.allow_tf32 = dtype != torch.float32
        place = {
            "device": arguments.device,
            "dtype": dtype,
            "memory_format": torch.channels_last,
        }
        network = get_model(arguments.backbone, weights=None)
        network.load_state_dict(torch.load(arguments.weights, weights_only=True))
        network = create_feature_extractor(network.eval(), {arguments.layer: "feature"}).to(**place)

    size = CPU_BATCH if arguments.device == "cpu" else GPU_BATCH
    batch = torch.randn(size, 3, side, side).to(**place)

    def forward() -> torch.Tensor:
        feature = network(batch)["feature"]
        if feature.shape[-1] > 1:
            feature = torch.nn.functional.avg_pool2d(feature, arguments.pool)
        return feature.flatten(1).float().cpu()

    files = sorted(arguments.category.glob("t*/*/*.png"))
    passes = max(1, min(arguments.images, len(files)) // size)
    with torch.inference_mode():
        dimensions = forward().shape[1]
        with clock(passes * size) as forward_seconds:
            for _ in range(passes):
                forward()

    n_train = sum(1 for file in files if file.parts[-3] == "train")
    X = np.random.default_rng(42).normal(size=(n_train, dimensions)).astype(np.float32)
    floors = {
        "startup": startup,
        "decode": decode(files[: arguments.images], arguments.threads, resizes),
        "forward": forward_seconds,
        "fit": fit(X),
    }
    print(json.dumps(floors))


if __name__ == "__main__":
    main()
