"""Decoding alone and the forward pass alone, with this project's own code.

Prints seconds per stage as JSON, start-up apart.
"""

import argparse
import json
import os
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("category", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--layer", required=True)
    parser.add_argument("--side", type=int, required=True)
    parser.add_argument("--precision", default="fp32")
    arguments = parser.parse_args()

    begin = time.perf_counter()  # imports are a large part of the start-up
    import torch

    from defectbench.features.allocator import keep_freed_memory
    from defectbench.features.backbones import load_backbone
    from defectbench.features.batch_norm import fold_batch_norm
    from defectbench.features.extraction import CPU_BATCH
    from defectbench.features.passes import Tap
    from defectbench.features.taps import TappedNetwork
    from defectbench.images.decoding import decode_images

    cores = len(os.sched_getaffinity(0))
    keep_freed_memory()
    torch.set_num_threads(cores)
    taps = [Tap(arguments.layer, 2)]
    network = load_backbone(arguments.backbone, arguments.weights).network
    network = fold_batch_norm(network, taps, arguments.side)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[arguments.precision]
    forward = TappedNetwork(network.to(dtype, memory_format=torch.channels_last), taps)
    startup = time.perf_counter() - begin

    files = sorted(arguments.category.glob("t*/*/*.png"))
    preprocessing = {"interpolation": "lanczos", "size": arguments.side}
    begin = time.perf_counter()
    for _ in decode_images(files, {"lanczos": preprocessing}, cores):
        pass
    decode = time.perf_counter() - begin

    batch = torch.randn(CPU_BATCH, 3, arguments.side, arguments.side).to(
        dtype, memory_format=torch.channels_last
    )
    begin = time.perf_counter()
    with torch.inference_mode():
        for _ in range(0, len(files), CPU_BATCH):
            forward(batch)
    forward_seconds = time.perf_counter() - begin
    print(json.dumps({"startup": startup, "decode": decode, "forward": forward_seconds}))


if __name__ == "__main__":
    main()
