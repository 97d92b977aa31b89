"""The process in which a detector runs: `python -m … SOCKET FILE THREADS GIVES_WAY MEMORY SECONDS`.

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

from defectbench.deployment.detector_file import KEY, LARGEST_METADATA, read_sealed
from defectbench.deployment.messages import receive, receive_header, send
from defectbench.errors import InputError

TOO_MANY_FILES = re.compile(f"SystemError : {errno.EMFILE}|{os.strerror(errno.EMFILE)}")
"""What onnxruntime and onnx say of a file that this process may not open."""

LARGEST_REQUEST = 1 << 12


def serve(
    end: socket.socket, file: Path, threads: int, gives_way: bool, memory: int, seconds: int
) -> None:
    """Load a detector, tell of it, and score images until the other side has gone.

    Parameters
    ----------
    end
        Of the connection to the other side.
    file
        The detector.
    threads, gives_way
        As for `session_options`.
    memory, seconds
        For loading it, as for `limit`.
    """
    try:
        options = session_options(threads, gives_way)
        session, header = loaded(file, options, memory, threads * seconds)
    except Exception as error:
        send(end, {"error": reason(error)})
        return
    outputs: list[memoryview] = []
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            send(end, header, outputs)
            request = receive_header(end, LARGEST_REQUEST)
            limit(request["memory"], threads * request["seconds"])
            images = receive(end, np.empty(request["shape"], np.uint8))
            try:
                found = [np.asarray(each) for each in session.run(None, {"images": images})]
                header = {"outputs": [[each.dtype.str, each.shape] for each in found]}
                outputs = [memoryview(each).cast("B") for each in found]
            except Exception as error:
                header, outputs = {"error": reason(error)}, []


def session_options(threads: int, gives_way: bool) -> onnxruntime.SessionOptions:
    """Options of a session.

    Parameters
    ----------
    threads
        Of the network.
    gives_way
        Whether they soon leave the processors to others when they wait for each other. Then
        images that are decoded meanwhile are there sooner, and a single one is scored later.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # errors are raised, and need not be printed too
    options.add_session_config_entry("session.load_model_format", "ONNX")
    if gives_way:  # older runtimes know no such entry, and wait longer
        options.add_session_config_entry("session.intra_op.spin_duration_us", "50")
    return options


def loaded(
    file: Path, options: onnxruntime.SessionOptions, memory: int, seconds: int
) -> tuple[onnxruntime.InferenceSession, dict[str, Any]]:
    """Session of a detector, and what there is to tell of it before it has scored anything.

    Raises
    ------
    InputError
        If the file cannot be read, is too large, has no seal or is damaged.
    Exception
        Of onnxruntime or onnx, if it is no sound model.
    """
    checker = None
    if importlib.util.find_spec("onnx"):
        from onnx import checker
    content, sha256 = read_sealed(file)
    # no file is opened from here on, whatever a graph refers to; a crash leaves no copy behind
    for each in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE):
        resource.setrlimit(each, (0, 0))
    is_limited = memory_is_limited()
    limit(memory, seconds)
    if checker is not None:
        checker.check_model(content)
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map.get(KEY)
    if metadata is not None and len(metadata) > LARGEST_METADATA:
        raise InputError(f"its metadata have more than {LARGEST_METADATA} characters")
    return session, {
        "sha256": sha256,
        "metadata": metadata,
        "inputs": [[end.name, end.type, end.shape] for end in session.get_inputs()],
        "outputs": [[end.name, end.type] for end in session.get_outputs()],
        "is_limited": is_limited,
    }


def limit(memory: int, seconds: int) -> None:
    """Bound what this process can write to (bytes) and the processor time that it has from now on.

    The other side looks at the clock, but it may be gone.
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


def reason(error: Exception) -> str:
    """What is wrong with the detector, in one line."""
    if isinstance(error, InputError):
        return str(error)
    line = (str(error).splitlines() or [type(error).__name__])[0]
    if TOO_MANY_FILES.search(line):
        return "not a detector: its graph refers to another file"
    return f"cannot be run ({line})"


if __name__ == "__main__":
    # signals to the whole group are for the other side, which lets the image at hand be scored
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # of Linux alone: without memory, this process goes first
        Path("/proc/self/oom_score_adj").write_text("1000")
    number, path, *numbers = sys.argv[1:]
    serve(socket.socket(fileno=int(number)), Path(path), *map(int, numbers))
