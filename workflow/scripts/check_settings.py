"""Before `make run`: whether files of settings can be read, which Snakemake says in a traceback."""

import sys

from defectbench.errors import InputError
from defectbench.startup import read_settings

if __name__ == "__main__":
    for file in sys.argv[1:]:
        try:
            read_settings(file)
        except InputError as error:
            sys.exit(f"error: {error}")
