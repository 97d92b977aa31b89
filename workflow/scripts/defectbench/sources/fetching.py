"""Files from the network: resumed where a transfer broke off, and checked by size and hash."""

import hashlib
import http.client
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from defectbench.errors import InputError, is_about_storage

DOWNLOADS = Path("resources", "downloads")
TIMEOUT_SECONDS = 60
ATTEMPTS = 5
BACK_OFF_SECONDS = 1.0
BLOCK = 1 << 20
PROGRESS_SECONDS = 5
HTTP_RANGE_NOT_SATISFIABLE = 416
HTTP_WHOLE, HTTP_PARTIAL = 200, 206
SCHEMES = ("http", "https", "ftp", "file")


def unfit_address(url: str) -> str:
    """Why no file can be asked for at an address; empty if one can."""
    try:
        parts = urllib.parse.urlsplit(url)
        _ = parts.port  # neither a port nor a host is checked before it is asked for
        host = (parts.hostname or "").encode("idna")
    except ValueError as error:
        return f"no address ({error}); mend it"
    if parts.scheme not in SCHEMES or not (host or parts.scheme == "file"):
        return "no address; write it like https://host/path"
    if not re.fullmatch("[!-~]+", url):
        return "no address; write spaces and letters beyond ASCII in it as %20 or %C3%B6"
    return ""


def download(
    urls: Sequence[str],
    path: Path,
    size: int = 0,
    algorithm: str = "",
    digest: str = "",
    use: Callable[[Path], None] | None = None,
) -> None:
    """Fetch a file from the first address that has it, whole, of the right size and hash.

    A file that is there already is checked in the same way and kept. When a transfer breaks off,
    what has arrived stays in ``{path}.part``, from where the next attempt or call goes on. What
    arrived and cannot be used is deleted.

    Parameters
    ----------
    urls
        Addresses, tried in turn.
    path
        The file; it appears complete or not at all.
    size
        Expected size in bytes; 0 to check nothing.
    algorithm
        Name of the hash, as `hashlib` spells it.
    digest
        Beginning of the expected hash in hexadecimal; empty to check nothing.
    use
        What is done with the file; it raises an `InputError`, which says why, of one that is
        another than the address promises.

    Raises
    ------
    InputError
        If no address gives the file: one line per address, and where to put the file by hand.
    """
    part = path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        if problem := _difference(path, size, algorithm, digest) or _unusable(path, use):
            raise InputError(f"{path}: {problem}; delete it, or put the right one there")
        return
    problems = []
    for url in urls:
        problem = _fetch(url, part)
        if not problem:
            problem = _difference(part, size, algorithm, digest)
            if not problem:
                part.replace(path)  # before its use: a kill meanwhile costs no second fetch
            _origin_file(part).unlink(missing_ok=True)
            problem = problem or _unusable(path, use)
            if not problem:
                return
            for arrived in (part, path):
                arrived.unlink(missing_ok=True)
        problems.append(f"  {url}: {problem}")
    raise InputError("download failed:\n" + "\n".join(problems))


def _difference(path: Path, size: int, algorithm: str, digest: str) -> str:
    """How a file differs from what is expected, empty for not at all."""
    actual_size = path.stat().st_size
    if size and actual_size != size:
        return f"has {actual_size} bytes, expected {size}"
    if digest:
        with open(path, "rb") as stream:
            actual = hashlib.file_digest(stream, algorithm).hexdigest()
        if not actual.startswith(digest):
            return f"{algorithm.upper()} is {actual}, expected {digest}"
    return ""


def _unusable(path: Path, use: Callable[[Path], None] | None) -> str:
    """Use a file; returns why that is not possible, or nothing."""
    try:
        if use:
            use(path)
    except InputError as error:
        return str(error)
    return ""


def _fetch(url: str, part: Path) -> str:
    """Fetch one address into the part file, with retries; returns what went wrong, or nothing."""
    problem = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(BACK_OFF_SECONDS * 2 ** (attempt - 1))
        try:
            _transfer(url, part)
            return ""
        except urllib.error.HTTPError as error:
            problem = f"HTTP {error.code} {' '.join(str(error.reason).split())}"
            if error.code == HTTP_RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)  # it is longer than the file: another one's
            elif error.code < 500:
                return problem  # the server would say the same again
        except (ValueError, http.client.InvalidURL) as error:  # of a redirection, for example
            return f"cannot be fetched ({error})"
        except (OSError, http.client.HTTPException) as error:
            if is_about_storage(error):
                raise
            problem = str(getattr(error, "reason", error)) or type(error).__name__
    return f"{problem} ({ATTEMPTS} attempts)"


def _transfer(url: str, part: Path) -> None:
    """Send one request, which goes on from what the part file holds of the same version.

    Address and version, which is an ETag or a date, lie beside the part file. Without them, or
    where the server has another version or answers with another range, the file is fetched from
    its start (RFC 9110, 13.1.5 and 14.4).
    """
    origin = _origin_file(part)
    lines = origin.read_text(encoding="utf-8").split("\n") if origin.is_file() else []
    known = lines[1] if lines[:1] == [url] else ""
    have = part.stat().st_size if part.is_file() and known else 0
    headers = {"Range": f"bytes={have}-", "If-Range": known} if have else {}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
        start, total = _place_in_file(response)
        # a server that knows no ranges sends the whole file, and some send parts unasked
        resumed = bool(have) and response.status == HTTP_PARTIAL
        if start != (have if resumed else 0) or (resumed and _version(response) not in (known, "")):
            part.unlink(missing_ok=True)
            raise OSError("the server resumes another version, or elsewhere")
        if not resumed:
            part.unlink(missing_ok=True)  # what it holds is of the version that is named now
            origin.write_text(f"{url}\n{_version(response)}", encoding="utf-8")
        with open(part, "ab") as stream:
            shown = time.monotonic()
            while block := response.read1(BLOCK):  # what there is: little is lost in a kill
                stream.write(block)
                if time.monotonic() - shown >= PROGRESS_SECONDS:
                    shown = time.monotonic()
                    _show(url, stream.tell(), total)
    received = part.stat().st_size
    if total is not None and received != total:
        raise OSError(f"broke off after {received} of {total} bytes")


def _origin_file(part: Path) -> Path:
    """File that says which version of which address a part file is of."""
    return part.with_name(f"{part.name}.from")


def _version(response: http.client.HTTPResponse) -> str:
    """What tells a version from others; empty if a server says nothing that may be relied on."""
    tag = response.headers.get("ETag", "")
    is_strong = tag and not tag.startswith("W/")
    return tag if is_strong else response.headers.get("Last-Modified", "")


def _place_in_file(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """The first byte of a file that an answer holds, and the file's size in bytes, if stated.

    Raises
    ------
    ValueError
        If the answer holds no file or does not say in numbers what it holds.
    """
    if response.status not in (None, HTTP_WHOLE, HTTP_PARTIAL):  # a file: address has none
        raise ValueError(f"HTTP {response.status} comes without a file")
    length = response.headers.get("Content-Length")
    if length is not None and not re.fullmatch("[0-9]{1,18}", length):
        raise ValueError("the server states a length that is no number")
    size = int(length) if length is not None else None
    if response.status != HTTP_PARTIAL:
        return 0, size
    stated = response.headers.get("Content-Range", "")
    place = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", stated)
    if not place:
        raise ValueError("the server sends a part and does not say which")
    first, total = place.groups()
    if total != "*":
        return int(first), int(total)
    return int(first), int(first) + size if size is not None else None


def _show(url: str, done: int, total: int | None) -> None:
    """Print how far a transfer is, in the job's log and on the terminal that the log replaces."""
    of_all = f" of {total / 1e6:.0f} MB ({done / total:.0%})" if total else " MB"
    line = f"{url.rsplit('/', 1)[-1]}: {done / 1e6:.0f}{of_all}"
    for stream in {sys.stderr, sys.__stderr__}:
        if stream is not None and (stream is sys.stderr or stream.isatty()):
            print(line, file=stream)
