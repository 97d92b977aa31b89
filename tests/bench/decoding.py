"""CPU seconds per image of decoding a folder in three preprocessings, by a checkout's own code.

The package is the one on PYTHONPATH.
"""

import argparse
import inspect
import json
import os
import time
from pathlib import Path

from inputs import PREPROCESSINGS

from defectbench.provenance import file_sha256

try:
    from defectbench.features.decoded import decode_ahead
except ImportError:  # an earlier checkout
    from defectbench.features.category import decode_ahead


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("category", type=Path)
    arguments = parser.parse_args()
    files = sorted(arguments.category.glob("t*/*/*.png"))
    threads = len(os.sched_getaffinity(0))
    images = [(file, file_sha256(file)) for file in files]
    if "files" in inspect.signature(decode_ahead).parameters:  # an earlier checkout
        images = files
    begin = time.process_time()
    for _ in decode_ahead(images, PREPROCESSINGS, threads):
        pass
    print(json.dumps({"cpu": (time.process_time() - begin) / len(files)}))


if __name__ == "__main__":
    main()
