"""An image file read and scored: whether its content is new, and what became of it meanwhile."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from defectbench.deployment.detector import Detector, DetectorLostError, Scored
from defectbench.errors import InputError
from defectbench.images.decoding import in_order
from defectbench.images.network_image import AHEAD, Decoded, whole_image
from defectbench.names import printable
from defectbench.provenance import file_sha256

State = tuple[int, int, int] | None
"""What changes when a file is written or replaced; None where there is no file."""


class Read(NamedTuple):
    """A file that was read.

    Attributes
    ----------
    path
        Of the file.
    state
        After it was read.
    sha256
        Of its content; empty if not even that can be read.
    found
        The image and its score, or why there is none; None if the content is known.
    """

    path: Path
    state: State
    sha256: str
    found: tuple[Decoded, Scored] | InputError | None


def read_files(
    files: Iterable[Path],
    detector: Detector,
    threads: int,
    known: Callable[[Path], str | None] = lambda _: None,
) -> Iterator[Read]:
    """Read files and score them in threads, in their order.

    Parameters
    ----------
    files
        Taken one by one.
    detector
        Whose process scores one image while others are decoded here.
    threads
        That decode.
    known
        SHA-256 of a file's content that needs no verdict; None if there is none.

    Raises
    ------
    DetectorLostError
        Which is no fault of a file; all else that is wrong with one is told in its place.
    """

    def read(path: Path) -> Read:
        return read_file(path, known(path), detector)

    # at least two, for one of them waits for its scores
    return in_order(read, files, max(2, threads), AHEAD * threads)


def read_file(path: Path, known: str | None, detector: Detector) -> Read:
    """Read a file and score it, as `read_files` does; what is wrong with it is one line."""
    try:
        digest, unreadable = file_sha256(path), None
    except OSError as error:
        digest, unreadable = "", _one_line(f"{path}: cannot be read ({error.strerror})")
    if digest == known:
        return Read(path, state_of(path), digest, None)
    try:
        image = unreadable or whole_image(path, detector.metadata)
    except InputError as error:
        image = _one_line(error)
    except Exception as error:  # a decoder stumbles over the file; the others get their verdicts
        image = _one_line(f"{path}: cannot be decoded ({type(error).__name__}: {error})")
    state = state_of(path)
    if isinstance(image, InputError):
        return Read(path, state, digest, image)
    try:
        return Read(path, state, digest, (image, detector.score_image(image)))
    except DetectorLostError:
        raise
    except InputError as error:
        return Read(path, state, digest, _one_line(error))


def _one_line(why: object) -> InputError:
    """Why a file gets no score, also where a line break stands in its name."""
    return InputError(printable(str(why)))


def state_of(file: Path) -> State:
    """Size of a file, and when it was written and put in its place (ns)."""
    try:
        status = file.stat()
    except OSError:
        return None
    # a copy may keep the time at which its original was written
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
