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
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from defectbench.storage import read_json, write_json

SUFFIX = ".receipt.json"
PRODUCTS = frozenset({"detector", "detector_cost", "new_images", "maps"})
"""Scripts whose outputs people look at or take away, though they lie outside ``reports/``."""

GONE = "removed"


@dataclass(frozen=True)
class Receipt:
    """What a job's outputs were made of.

    Attributes
    ----------
    made_of
        Script, wildcards, parameters and, by the inputs' names, the key of the receipt of the job
        that made each file; the digest of the file's content if no job with a receipt made it.
    made_by
        Of the inputs that other jobs made: by path, key of that job's receipt and digest of the
        content. Equal keys mean equal contents but for what is measured, and for rounding that
        differs between processors.
    outputs
        Digests of contents by path.
    """

    made_of: Mapping[str, Any]
    made_by: Mapping[str, tuple[str, str]]
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


def receipts_below(*folders: str) -> dict[Path, Receipt]:
    """All receipts in some folders, by their files, sorted; links are not entered."""
    files = [
        Path(folder, name)
        for root in folders
        for folder, _, names in os.walk(root)
        for name in names
        if name.endswith(SUFFIX)
    ]
    return {file: receipt for file in sorted(files) if (receipt := Receipt.read(file))}


def remove_outdated(planned: Mapping[str, str]) -> list[list[str]]:
    """Remove reports and detectors of earlier runs whose results this run is about to replace.

    A run makes its targets alone. Reports, exported detectors, verdicts and overlays that earlier
    runs made beside these targets would go on showing results that no longer exist.

    Parameters
    ----------
    planned
        By the path of every output of the run's jobs, also of the current ones: the key of the
        receipt that it has or will have.

    Returns
    -------
    list of list of str
        The removed outputs, a list for each receipt that was outdated.
    """
    receipts = receipts_below("results", "reports", "resources/data", "resources/weights")
    made = {output: receipt.key for receipt in receipts.values() for output in receipt.outputs}
    keys = made | dict(planned)
    others = {
        file: receipt
        for file, receipt in receipts.items()
        if _is_product(receipt) and planned.keys().isdisjoint(receipt.outputs)
    }
    removed: list[list[str]] = []
    while outdated := [file for file in others if _is_outdated(others[file], keys)]:
        for file in outdated:
            receipt = others.pop(file)
            for output in receipt.outputs:
                _remove(Path(output))
                keys[output] = GONE  # what was made of it is outdated, too
            file.unlink()
            removed.append(list(receipt.outputs))
    return removed


def _is_outdated(receipt: Receipt, keys: Mapping[str, str]) -> bool:
    return any(keys.get(file, key) != key for file, (key, _) in receipt.made_by.items())


def _is_product(receipt: Receipt) -> bool:
    in_reports = all(output.startswith("reports/") for output in receipt.outputs)
    return in_reports or receipt.made_of["script"] in PRODUCTS


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def receipt_path(outputs: Collection[str]) -> Path:
    """Where the receipt of a job with these outputs lies."""
    first = Path(next(iter(outputs)))
    return first.with_name(f".{first.name}{SUFFIX}")


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
