"""Who is told of a defective part: an address that takes JSON, or a command."""

import http.client
import os
import shlex
import shutil
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from defectbench.errors import InputError

ANSWER_SECONDS = 10.0
COMMAND_SECONDS = 60.0


class UndeliveredError(Exception):
    """An event was not taken; the message says why and continues a sentence."""


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive without its JSON, and show the token to another host."""

    def redirect_request(self, *_: Any) -> None:
        """Leave the answer as it is, which is an error."""
        return


def by_post(url: str, header_variable: str | None = None) -> tuple[Callable[[bytes], None], str]:
    """Deliver events by POST; the certificate of an https address is checked.

    Parameters
    ----------
    url
        Beginning with ``http://`` or ``https://``.
    header_variable
        Environment variable with a further header, ``Name: value``, such as one with a token.

    Returns
    -------
    send : callable
        Takes the bytes of an event. Any answer but 2xx raises `UndeliveredError`.
    receiver : str
        The host, without anything that may be secret.

    Raises
    ------
    InputError
        If the address or the header cannot be used.
    """
    receiver = _host(url)
    headers = {"Content-Type": "application/json"}
    if header_variable is not None:
        headers |= [_header(header_variable)]
    secure = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.build_opener(NoRedirects, secure)

    def send(event: bytes) -> None:
        request = urllib.request.Request(url, event, headers, method="POST")
        try:
            opener.open(request, timeout=ANSWER_SECONDS).close()
        except urllib.error.HTTPError as error:
            error.close()
            raise UndeliveredError(f"answers {error.code}") from error
        except urllib.error.URLError as error:
            raise UndeliveredError(f"cannot be reached ({error.reason})") from error
        except (OSError, http.client.HTTPException) as error:
            raise UndeliveredError(f"does not answer ({type(error).__name__})") from error

    return send, receiver


def _host(url: str) -> str:
    """Host and port of an address that events can be posted to."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise InputError(f"--on-defective: no address ({error})") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii():
        raise InputError("--on-defective: give an address such as https://host/path")
    if parts.username is not None:
        raise InputError(
            "--on-defective: an address is seen by all users of the machine; put the password into "
            "a header and name its environment variable with --header-variable"
        )
    return f"{parts.hostname}{port}"


def _header(variable: str) -> tuple[str, str]:
    """Name and value of the header in an environment variable; no message shows the value."""
    name, colon, value = os.environ.get(variable, "").partition(":")
    value = value.strip()
    if not (colon and value and name.isascii() and value.isascii() and value.isprintable()):
        raise InputError(
            f"--header-variable {variable}: holds no header; set it to one such as "
            "'Authorization: Bearer …'"
        )
    if not name.replace("-", "").replace("_", "").isalnum():
        raise InputError(f"--header-variable {variable}: no header has that name")
    return name, value


def by_command(command: str) -> tuple[Callable[[bytes], None], str]:
    """Deliver events to a command, which reads one from its standard input.

    Parameters
    ----------
    command
        Program and arguments, quoted as for a shell; no shell runs it.

    Returns
    -------
    send : callable
        Takes the bytes of an event. An exit status other than 0 raises `UndeliveredError`.
    receiver : str
        The program.

    Raises
    ------
    InputError
        If there is no such program.
    """
    try:
        arguments = shlex.split(command)
    except ValueError as error:
        raise InputError(f"--command: {error}") from error
    if not arguments or shutil.which(arguments[0]) is None:
        raise InputError(f"--command {command}: no such program")

    def send(event: bytes) -> None:
        try:
            status = subprocess.run(arguments, input=event, timeout=COMMAND_SECONDS).returncode
        except subprocess.TimeoutExpired as error:
            raise UndeliveredError(f"takes longer than {COMMAND_SECONDS:.0f} s") from error
        except OSError as error:
            raise UndeliveredError(f"cannot be run ({error.strerror})") from error
        if status:
            raise UndeliveredError(f"ends with exit status {status}")

    return send, arguments[0]
