"""The one exception for what the user can mend, and how jobs and commands report it."""

import contextlib
import errno
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from defectbench.garbage import leave_what_is_there
from defectbench.names import printable, visible
from defectbench.provenance import peak_memory_mb
from defectbench.standard_streams import let_nobody_listen


class InputError(Exception):
    """Bad input: the message names the file or key and says what to do."""

    def __str__(self) -> str:
        return visible(super().__str__())


class BeyondMemoryError(InputError):
    """Work that needs more memory than there is; the log of a job names the job before it."""


STORAGE = {
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
}


TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})

MEND = "mend that and run the same command again"

ERROR_EXIT, INTERRUPTED_EXIT = 2, 130

PEAK = "peak memory:"
"""Begins the line of a job's log that says how much memory it took."""


def is_about_storage(error: BaseException) -> bool:
    """Whether an error says that a disk is full or must not be written to."""
    return _storage_errno(error) in STORAGE


def _storage_errno(error: BaseException) -> int | None:
    """The system's number of an error; HDF5 words it in errors of several types."""
    of_hdf5 = re.search(r"errno = (\d+)", str(error))
    return int(of_hdf5[1]) if of_hdf5 else getattr(error, "errno", None)


WITHOUT_MEMORY = (
    "can't allocate memory",  # PyTorch
    "memory allocation failed",  # HDF5
    "failed to map segment from shared object",  # the import of a compiled module
    "can't start new thread",  # Python, whose threads have stacks
)


def is_about_memory(error: BaseException) -> bool:
    """Whether an error says that there is too little memory, in whatever words."""
    return (
        isinstance(error, MemoryError)
        or _storage_errno(error) == errno.ENOMEM
        or any(words in str(error) for words in WITHOUT_MEMORY)
    )


def error_lines(text: str) -> str:
    """The line with which a job's log ends by an `InputError`, and those that continue it.

    Parameters
    ----------
    text
        Of a log that `job_log` has written.

    Returns
    -------
    str
        From ``error: …`` to the end, empty if there is no such line.
    """
    found = re.search(r"^error: .*", text, flags=re.MULTILINE | re.DOTALL)
    return found[0].rstrip() if found else ""


def in_one_line(error: BaseException, where: str = "") -> str:
    """What an error tells its user, who can mend it; empty of a fault of ours.

    Parameters
    ----------
    where
        What was written to, should a full disk not say so.
    """
    if isinstance(error, InputError):
        return str(error)
    if is_about_memory(error):
        wanted = f" ({str(error).splitlines()[0]})" if str(error) else ""
        return (
            f"out of memory{wanted}; give it more memory (`ulimit -v`, a cluster's mem_mb), or let "
            "it do less: fewer or smaller images, a coarser layer, another detector"
        )
    if getattr(error, "errno", None) in TOO_MANY_FILES:
        return "too many open files; allow more of them (`ulimit -n`)"
    if isinstance(error, FileNotFoundError) and not _is_in_a_folder():
        return "the current folder is not there any more; change into one that is"
    of_hdf5 = re.search(r"filename = '([^']+)'", str(error))
    # of a copy, the second name is that of the file that was to be made
    names = (getattr(error, name, None) for name in ("filename2", "filename"))
    file = of_hdf5[1] if of_hdf5 else next(filter(None, names), where)
    if is_about_storage(error):
        return printable(f"{f'{file}: ' if file else ''}{STORAGE[_storage_errno(error)]}; {MEND}")
    if isinstance(error, OSError) and file:
        return printable(f"{os.fsdecode(file)}: {error.strerror}; {MEND}")
    return ""


def _is_in_a_folder() -> bool:
    """Whether the current folder has not been removed."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def exit_status(command: Callable[[], int], advice: str = MEND, where: str = "") -> int:
    """Run a command; of what its user can mend, say one line. It goes on though nobody listens.

    Parameters
    ----------
    command
        Returns its exit status.
    advice
        What to do once a disk has room again.
    where
        As in `in_one_line`.
    """
    let_nobody_listen()
    try:
        status = command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED_EXIT
    except Exception as error:
        if not (line := in_one_line(error, where)):
            raise
        print(f"error: {line.replace(MEND, advice)}", file=sys.stderr)
        return ERROR_EXIT
    return status


@contextlib.contextmanager
def job_log(path: str | Path, named: bool = False) -> Iterator[None]:
    """Write what a job prints to its log file; end the job with one line where a user can help.

    That is on an `InputError`, without room on a disk and without memory, and where it is
    interrupted. The log of a job that went well ends with its peak memory, which Snakemake's
    benchmark samples and can miss.

    Parameters
    ----------
    path
        The rule's log file. Standard error goes there; any other exception leaves its traceback.
    named
        Whether an `InputError`, too, is told with the job's name: those of a scorer name no file.
    """
    leave_what_is_there()
    job = str(Path(path).with_suffix("")).removeprefix("logs/")
    with (
        open(path, "w", buffering=1, encoding="utf-8", errors="backslashreplace") as log,
        contextlib.redirect_stderr(log),
    ):
        try:
            yield
            if peak := peak_memory_mb():
                print(f"{PEAK} {peak:.0f} MB", file=log)
        except KeyboardInterrupt:
            print(f"error: {job}: interrupted", file=log)
            sys.exit(INTERRUPTED_EXIT)
        except Exception as error:
            line = in_one_line(error, job)
            if not isinstance(error, InputError) and not (
                is_about_storage(error) or is_about_memory(error)
            ):
                traceback.print_exc(file=log)
            if line:
                is_of_job = named or isinstance(error, BeyondMemoryError) or is_about_memory(error)
                print(f"error: {f'{job}: ' if is_of_job else ''}{line}", file=log)
            if is_about_storage(error):
                os._exit(1)  # HDF5 crashes when it closes a file that it could not write
            sys.exit(1)
