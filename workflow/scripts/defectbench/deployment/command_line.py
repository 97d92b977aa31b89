"""What the commands that run a detector have in common."""

import argparse
import os


def parse_with_threads(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Arguments of the command line, `--threads` among them."""
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, help="default: one per CPU"
    )
    arguments = parser.parse_args()
    if arguments.threads < 1:
        parser.error("--threads: at least 1")
    return arguments
