"""The process in which a detector's graph runs: `python -m … SOCKET FILE THREADS MEMORY SECONDS`.

The graph may be a stranger's. What it can do ends here: this process opens no file once it has read
the detector, and has so much memory and time as each message from the other side allows.
"""

import contextlib
import errno
import importlib.util
import mmap
import os
import re
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from defectbench.deployment.detector_file import KEY, read_sealed
from defectbench.deployment.messages import Channel
from defectbench.errors import InputError

TOO_MANY_FILES = re.compile(f"SystemError : {errno.EMFILE}|{os.strerror(errno.EMFILE)}")
"""What onnxruntime and onnx say of a file that this process may not open."""


def main() -> None:
    """Serve whoever has started this process, until they are gone."""
    # signals to the whole group are for the other side, which lets the image at hand be scored
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    connection, file, *numbers = sys.argv[1:]
    with contextlib.suppress(OSError):  # of another system; on Linux, first to go without memory
        Path("/proc/self/oom_score_adj").write_text("1000")
    serve(Channel(socket.socket(fileno=int(connection))), Path(file), *map(int, numbers))


def serve(channel: Channel, file: Path, threads: int, memory: int, seconds: int) -> None:
    """Load a detector, tell of it, and score images.

    Parameters
    ----------
    channel
        To the other side.
    file
        The detector.
    threads
        Of the network.
    memory, seconds
        For loading it; on a clock, if all threads are busy.
    """
    try:
        session, header = loaded(file, threads, memory, seconds)
    except Exception as error:
        channel.send({"error": _reason(error)})
        return
    channel.send(header)
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            request = channel.header()
            limit(request["memory"], threads * request["seconds"])
            images = np.empty(request["shape"], np.uint8)
            channel.receive(images)
            channel.send(*answer(session, images))


def answer(session: onnxruntime.InferenceSession, images: np.ndarray) -> list[Any]:
    """What the graph says of images: a header with types and shapes, and arrays; or the error."""
    try:
        outputs = [np.asarray(each) for each in session.run(None, {"images": images})]
        header = {"outputs": [[each.dtype.str, each.shape] for each in outputs]}
        return [header, *(memoryview(each).cast("B") for each in outputs)]
    except Exception as error:
        return [{"error": _reason(error)}]


def loaded(
    file: Path, threads: int, memory: int, seconds: int
) -> tuple[onnxruntime.InferenceSession, dict[str, Any]]:
    """Session of a detector, and what there is to tell of it before it has scored anything.

    Raises
    ------
    InputError
        If the file is too large, has no seal or is damaged.
    Exception
        Of onnxruntime or onnx, if it is no sound model.
    """
    checker = None
    if importlib.util.find_spec("onnx"):
        from onnx import checker
    content, sha256 = read_sealed(file)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # errors are raised, and need not be printed too
    options.add_session_config_entry("session.load_model_format", "ONNX")
    open_no_more_files()
    is_limited = memory_is_limited()
    limit(memory, threads * seconds)
    if checker is not None:
        checker.check_model(content)
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    ends = [
        [[end.name, end.type, end.shape] for end in side]
        for side in (session.get_inputs(), session.get_outputs())
    ]
    metadata = session.get_modelmeta().custom_metadata_map.get(KEY)
    return session, {
        **{"sha256": sha256, "metadata": metadata, "is_limited": is_limited},
        **dict(zip(("inputs", "outputs"), ends, strict=True)),
    }


def open_no_more_files() -> None:
    """Forbid this process to open files, whatever a graph refers to; what is open stays open.

    A crash leaves no copy of the memory behind either.
    """
    for each in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE):
        resource.setrlimit(each, (0, 0))


def limit(memory: int, seconds: int) -> None:
    """Bound this process until the next call.

    Parameters
    ----------
    memory
        Bytes that it can have to write to.
    seconds
        Of processor time from now on. The other side looks at the clock, but it may be gone.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    until = int(usage.ru_utime + usage.ru_stime) + seconds + 1
    for kind, value in ((resource.RLIMIT_DATA, memory), (resource.RLIMIT_CPU, until)):
        _, hard = resource.getrlimit(kind)
        soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (soft, hard))


def memory_is_limited() -> bool:
    """Whether the system keeps a process to its limit of memory, which macOS does not."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (mmap.PAGESIZE, before[1]))
    try:
        mmap.mmap(-1, 2 * mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (OSError, MemoryError):
        return True
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
    return False


def _reason(error: Exception) -> str:
    """What is wrong with the detector, in one line."""
    if isinstance(error, InputError):
        return str(error)
    line = (str(error).splitlines() or [type(error).__name__])[0]
    if TOO_MANY_FILES.search(line):
        return "not a detector: its graph refers to another file"
    return f"cannot be run ({line})"


if __name__ == "__main__":
    main()
