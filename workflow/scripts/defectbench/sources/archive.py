"""A local tar archive with a folder per category in the MVTec layout."""

from pathlib import Path
from typing import Any

from defectbench.contents import Contents
from defectbench.errors import InputError
from defectbench.sources.base import local_origin
from defectbench.sources.unpacking import WHOLE, PackedSource, Tarball


class Archive(PackedSource):
    """The archive is `path`; its content tells whether it is another one than was unpacked."""

    required = PackedSource.required | {"path"}

    def found(self) -> list[str]:
        if not Path(self.entry["path"]).is_file():
            raise InputError(f"{self.entry['path']}: no such archive; mend `path` of the dataset")
        return super().found()

    def origin(self, category: str, contents: Contents) -> dict[str, str]:
        return local_origin(self.entry["path"], contents)

    def tarball(self, category: str, origin: Any) -> Tarball:
        return Tarball(WHOLE, [], path=self.entry["path"], digest=origin["content"])
