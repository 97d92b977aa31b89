"""Before `make run`: whether files of settings can be read, which Snakemake says in a traceback."""

import sys

from defectbench.errors import exit_status
from defectbench.startup import read_settings


def main() -> int:
    """Refuse what cannot be read; exit status 0."""
    for file in sys.argv[1:]:
        read_settings(file)
    return 0


if __name__ == "__main__":
    sys.exit(exit_status(main))
