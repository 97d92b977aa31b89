"""The one exception for what the user can mend, and how a job reports it."""

import contextlib
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path


class InputError(Exception):
    """Bad input: the message names the file or key and says what to do."""


@contextlib.contextmanager
def job_log(path: str | Path) -> Iterator[None]:
    """Write what a job prints to its log file; end the job with one line on an `InputError`.

    Parameters
    ----------
    path
        The rule's log file. Standard error goes there; any other exception leaves its traceback.
    """
    with open(path, "w", buffering=1, encoding="utf-8") as log, contextlib.redirect_stderr(log):
        try:
            yield
        except InputError as error:
            print(f"error: {error}", file=log)
            sys.exit(1)
        except Exception:
            traceback.print_exc(file=log)
            sys.exit(1)
