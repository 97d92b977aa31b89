"""CPU seconds per image of decoding a folder in three preprocessings, by a checkout's own code.

The package is the one on PYTHONPATH; it may be of a time when each preprocessing was decoded for
itself.
"""

import argparse
import inspect
import json
import os
import time
from pathlib import Path

from inputs import PREPROCESSINGS

try:
    from defectbench.images.decoding import decode_images
except ModuleNotFoundError:
    from defectbench.images import decode_images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("category", type=Path)
    arguments = parser.parse_args()
    files = sorted(arguments.category.glob("t*/*/*.png"))
    threads = len(os.sched_getaffinity(0))
    together = "preprocessings" in inspect.signature(decode_images).parameters
    wanted = [PREPROCESSINGS] if together else PREPROCESSINGS.values()
    begin = time.process_time()
    for preprocessing in wanted:
        for _ in decode_images(files, preprocessing, threads):
            pass
    print(json.dumps({"cpu": (time.process_time() - begin) / len(files)}))


if __name__ == "__main__":
    main()
