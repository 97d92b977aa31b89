"""Tar archives from the network, of all categories or of one each."""

from typing import Any

from defectbench.contents import Contents
from defectbench.errors import InputError
from defectbench.provenance import FACTS
from defectbench.sources.unpacking import WHOLE, PackedSource, Tarball
from defectbench.storage import read_csv


class Download(PackedSource):
    """Addresses, sizes and hashes are those of ``workflow/facts/{dataset}_sources.csv``.

    The key `urls` gives other addresses; the list need then not exist. The archive of all
    categories is taken unless ``archives: single``, or an address for a category alone, asks for
    one of its own.
    """

    optional = PackedSource.optional | {"urls", "archives", "keep_archive"}
    place = "a download"

    def origin(self, category: str, contents: Contents) -> str:
        return self.tarball(category).identity

    def tarball(self, category: str, origin: Any = None) -> Tarball:
        urls = self.entry.get("urls", {})
        single = self.entry.get("archives") == "single" and WHOLE not in urls
        holds = category if single or category in urls else WHOLE
        if holds in urls:
            return Tarball(holds, urls[holds])
        return self._listed(holds)

    def _listed(self, holds: str) -> Tarball:
        """The archive as the list of addresses describes it."""
        file = FACTS / f"{self.dataset}_sources.csv"
        if not file.is_file():
            raise InputError(f"{file}: missing; a downloaded dataset needs its addresses there")
        rows = [row for row in read_csv(file) if row["category"] == holds]
        if not rows:
            raise InputError(f"{file}: no address for category {holds}; add it")
        urls, size = [row["url"] for row in rows], int(rows[0]["bytes"] or 0)
        algorithm = "sha256" if rows[0]["sha256"] else "md5"
        return Tarball(holds, urls, size=size, algorithm=algorithm, digest=rows[0][algorithm])
