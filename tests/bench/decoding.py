"""CPU seconds per image of decoding a folder in three preprocessings, by a checkout's own code.

The package is the one on PYTHONPATH; it may be of a time when each preprocessing was decoded for
itself.
"""

import argparse
import json
import os
import time
from pathlib import Path

from inputs import PREPROCESSINGS

try:
    from defectbench.features.blocks import decode_ahead
except ModuleNotFoundError:
    from defectbench.images import decode_images

    decode_ahead = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("category", type=Path)
    arguments = parser.parse_args()
    files = sorted(arguments.category.glob("t*/*/*.png"))
    threads = len(os.sched_getaffinity(0))
    begin = time.process_time()
    if decode_ahead:
        decoded = [decode_ahead(files, PREPROCESSINGS, threads)]
    else:
        decoded = [decode_images(files, each, threads) for each in PREPROCESSINGS.values()]
    for images in decoded:
        for _ in images:
            pass
    print(json.dumps({"cpu": (time.process_time() - begin) / len(files)}))


if __name__ == "__main__":
    main()
