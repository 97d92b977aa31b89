"""What the commands that run a detector have in common."""

import argparse

from defectbench.cpus import usable_cpus


def parse_with_threads(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Arguments of the command line, `--threads` among them: no more than there are CPUs."""
    cpus = usable_cpus()
    parser.add_argument("--threads", type=int, default=cpus, help="default, and most: one per CPU")
    arguments = parser.parse_args()
    if arguments.threads < 1:
        parser.error("--threads: at least 1")
    arguments.threads = min(arguments.threads, cpus)
    return arguments
