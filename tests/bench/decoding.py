"""CPU seconds per image of decoding a folder in three preprocessings, by a checkout's own code.

The package is the one on PYTHONPATH; it may be of a time when each preprocessing was decoded for
itself.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from inputs import PREPROCESSINGS

try:
    from defectbench.features.category import decode_ahead
except ModuleNotFoundError:
    from defectbench.images import decode_images

    def decode_ahead(
        files: list[Path], preprocessings: Mapping[str, Mapping[str, Any]], threads: int
    ) -> Iterator[np.ndarray]:
        for preprocessing in preprocessings.values():
            yield from decode_images(files, preprocessing, threads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("category", type=Path)
    arguments = parser.parse_args()
    files = sorted(arguments.category.glob("t*/*/*.png"))
    threads = len(os.sched_getaffinity(0))
    begin = time.process_time()
    for _ in decode_ahead(files, PREPROCESSINGS, threads):
        pass
    print(json.dumps({"cpu": (time.process_time() - begin) / len(files)}))


if __name__ == "__main__":
    main()
