"""What every source of a dataset offers, and how a category's folder is made."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from defectbench.contents import Contents
from defectbench.errors import InputError
from defectbench.images.index import Groups, Own, write_own
from defectbench.images.layout import CALIBRATION_GOOD, images_below
from defectbench.names import link_names
from defectbench.sources.reviewed import Reviewed

MOST_NAMED = 8


class Source(ABC):
    """Where the categories of a dataset come from.

    Parameters
    ----------
    dataset
        Its name.
    config
        The settings, checked by the schema.
    """

    gives: ClassVar[str]
    """``images`` or ``features``: which stages a dataset goes through."""

    required: ClassVar[frozenset[str]] = frozenset()
    """Keys that an entry of this source must have."""

    optional: ClassVar[frozenset[str]] = frozenset({"all_categories"})
    """Further keys that it may have, beside ``source``, ``methods`` and ``studies``."""

    place: ClassVar[str] = ""
    """Where a source without the key ``path`` has its categories from, in words."""

    checked_before: ClassVar[bool] = False
    """Whether `make check` looks into a category: nothing is fetched or unpacked for that."""

    def __init__(self, dataset: str, config: Mapping[str, Any]) -> None:
        self.dataset, self.config = dataset, config
        self.entry = config["datasets"][dataset]

    @abstractmethod
    def found(self) -> list[str]:
        """Categories that can be run, as far as can be known before.

        Raises
        ------
        InputError
            If a local folder is missing.
        """

    @property
    def nothing_found(self) -> str:
        """What to tell the user where `found` is empty."""
        return f"{self.entry['path']}: holds no category"

    @property
    def description(self) -> str:
        """What the source gives and from where, in words."""
        return f"{self.gives} from {self.entry.get('path', self.place)}"

    @property
    def groups(self) -> Groups:
        """The setting `groups`; empty if there is none or the index has the groups already."""
        return self.entry.get("groups", "")

    def images(self, category: str) -> list[tuple[str, str]]:
        """Split of each image and its path, in which `groups` searches.

        Returns
        -------
        list of (str, str)
            Empty where the images are not known before a run.

        Raises
        ------
        InputError
            If local images cannot be used as the settings say.
        """
        return []


class ImageSource(Source):
    """A source of images. Every category ends as a folder in the MVTec layout::

        train/good/*.png  test/good/*.png  test/{defect}/*.png  ground_truth/{defect}/*_mask.png

    and beside these ``calibration/good/*.png`` where the dataset has calibration images, and among
    these ``review__*.png`` where parts came back from the line.
    The folder holds links: nothing is ever written into the user's own, and nothing is copied.
    """

    gives = "images"
    optional = Source.optional | {"bits", "groups", "new", "calibration", "unreadable", "review"}
    checked_before = True

    @abstractmethod
    def origin(self, category: str, contents: Contents) -> Any:
        """What decides a category's images: a parameter of rule `source`, as JSON can hold it.

        Parameters
        ----------
        category
            Its name.
        contents
            Digests files: of local images the contents count, not their times.
        """

    @abstractmethod
    def lay_out(self, category: str, folder: Path, origin: Any) -> None:
        """Link a category's images into an empty folder, in the MVTec layout.

        Parameters
        ----------
        category
            Its name.
        folder
            Where to put the links.
        origin
            As `origin` gives it; None where a category is only looked into.

        Raises
        ------
        InputError
            If the images cannot be had.
        """

    def groups_of_further(self, category: str, places: Sequence[str]) -> list[str]:
        """Groups of images that `lay_out` does not know, where a source writes down its own."""
        return [""] * len(places)

    def put(
        self,
        category: str,
        output: Path,
        origin: Any = None,
        calibration: Path | None = None,
        reviewed: Sequence[Reviewed] = (),
    ) -> None:
        """Make a category's folder as `lay_out` does, complete or not at all.

        Parameters
        ----------
        category, origin
            As for `lay_out`.
        output
            The folder.
        calibration
            Folder of the category's calibration images; None for none.
        reviewed
            Images of the category that came back from the line.

        Raises
        ------
        InputError
            If an image cannot be had.
        """
        made = output.with_name(f".{output.name}.part")
        if made.exists():  # of a run that was killed
            shutil.rmtree(made)
        made.mkdir(parents=True)
        try:
            self.lay_out(category, made, origin)
            further = {image.place: image.file for image in reviewed}
            files = images_below(calibration) if calibration is not None else []
            names = link_names([file.relative_to(calibration).as_posix() for file in files])
            further |= {
                f"{CALIBRATION_GOOD}/{name}": file for name, file in zip(names, files, strict=True)
            }
            for place, file in further.items():
                _make_own((made / place).parent, made)
                link(made / place, file)
            groups = self.groups_of_further(category, list(further))
            if any(groups):
                pairs = zip(further, groups, strict=True)
                write_own(made, {place: Own("", group) for place, group in pairs})
            if output.is_dir():
                shutil.rmtree(output)
            made.rename(output)
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _make_own(folder: Path, category: Path) -> None:
    """Put a folder of links in the place of a link to a folder, for nothing is put into the user's.

    Parameters
    ----------
    folder
        In the category's folder; those above it are looked at, too.
    category
        The category's folder.
    """
    for inner in [*reversed(folder.relative_to(category).parents), folder.relative_to(category)]:
        place = category / inner
        if place.is_symlink():
            entries = [*place.resolve().iterdir()]
            place.unlink()
            for entry in entries:
                link(place / entry.name, entry)


def local_origin(path: str | Path, contents: Contents) -> dict[str, str]:
    """What decides local images: the place, and the content of all that is there."""
    resolved = Path(path).resolve()
    return {"path": str(resolved), "content": contents.digest(resolved)}


def existing_folder(entry: Mapping[str, Any]) -> Path:
    """The `path` of a dataset's entry in the config.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    folder = Path(entry["path"])
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; mend `path` of the dataset in the config")
    return folder


def few(names: list[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def link(place: Path, file: Path) -> None:
    """Make a link to a file, and the folders above the link."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(file.absolute())
