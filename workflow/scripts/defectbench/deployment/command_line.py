"""What the commands that run a detector have in common."""

import argparse

from defectbench.cpus import usable_cpus


def parse_with_threads(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Arguments of the command line, `--threads` among them."""
    parser.add_argument("--threads", type=int, default=usable_cpus(), help="default: one per CPU")
    arguments = parser.parse_args()
    if arguments.threads < 1:
        parser.error("--threads: at least 1")
    return arguments
