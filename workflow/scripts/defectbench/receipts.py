"""Receipts: what every output was made of, kept beside it, and read before anything is planned.

Snakemake keeps its own records in ``.snakemake``, by the names of files, and compares times. Who
copies results, restores a backup or removes that folder has results without records, which it
then takes for current. Here a receipt lies beside each job's first output::

    results/parts/plate/fre/resnet18/.model.h5.receipt.json

and says of what the outputs were made: parameters (with the digest of the code and the versions of
the libraries), contents of the inputs, and the digests of the outputs themselves. A job is current
if its receipt says what the config, the code and the inputs say today and if its outputs are those
that it names. Times are never compared.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from defectbench.storage import read_json, write_json


@dataclass(frozen=True)
class Receipt:
    """What a job's outputs were made of.

    Attributes
    ----------
    rule
        The job's rule.
    made_of
        Script, wildcards, parameters and, by the inputs' names, the key of the receipt of whoever
        made each file, or the digest of its content.
    made_by
        Of the inputs that other jobs made: path, and key of that job's receipt.
    outputs
        Digests of contents by path.
    """

    rule: str
    made_of: Mapping[str, Any]
    made_by: Mapping[str, str]
    outputs: Mapping[str, str]

    @property
    def key(self) -> str:
        """Digest of what the outputs were made of: 32 hexadecimal digits."""
        return key_of(self.made_of)

    def write(self) -> None:
        """Store it beside the first output."""
        write_json(receipt_path(self.outputs), asdict(self))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The receipt in a file; None if there is none, or none that can be read."""
        try:
            return cls(**read_json(path))
        except (OSError, ValueError, TypeError):
            return None


def receipt_path(outputs: Collection[str]) -> Path:
    """Where the receipt of a job with these outputs lies."""
    first = Path(next(iter(outputs)))
    return first.with_name(f".{first.name}.receipt.json")


def key_of(made_of: Mapping[str, Any]) -> str:
    """Digest of what outputs are made of: 32 hexadecimal digits."""
    text = json.dumps(made_of, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def as_json(value: Any) -> Any:
    """A value as it will be read from a receipt."""
    return json.loads(json.dumps(value))


def differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Dotted names of what differs between two values that came from JSON."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            inner = f"{path}.{name}" if path else name
            yield from differences(old.get(name), new.get(name), inner)
    elif old != new:
        yield path
