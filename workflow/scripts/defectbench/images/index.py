"""The index of a category: one row per image, and which of them show the same part."""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from defectbench.errors import InputError
from defectbench.images.layout import is_reviewed
from defectbench.storage import read_csv, read_tsv, write_tsv
from defectbench.user_table import read_user_table

SPLITS = ("train", "calibration", "test")
"""Good images to fit on, good ones that train nothing and set thresholds, and those to judge by."""


@dataclass(frozen=True)
class IndexRow:
    """One image of a category.

    Attributes
    ----------
    path
        As the user calls it: below the folder that the settings name, with forward slashes.
    split
        One of `SPLITS`.
    label
        0 for defect-free, 1 for defective.
    defect
        Defect type, ``good`` for none.
    mask
        Path of the ground-truth mask, empty for none.
    width, height
        Size in pixels; 0 where features were made elsewhere.
    mode
        Pillow's mode of the file, such as ``RGB`` or ``L``; empty where features were made
        elsewhere.
    sha256
        Of the file, or of the features that were made elsewhere.
    group
        Shared by the images of one part; empty for an image that is a group of its own.
    defect_pixels
        Marked by the mask; 0 without one.
    link
        Where the image lies in the category's folder, if not at `path` there.
    """

    path: str
    split: str
    label: int
    defect: str
    mask: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    sha256: str = ""
    group: str = ""
    defect_pixels: int = 0
    link: str = ""

    @property
    def file(self) -> str:
        """Path in the category's folder."""
        return self.link or self.path


def write_index(path: Path, rows: Sequence[IndexRow]) -> None:
    """Store an index as TSV."""
    write_tsv(path, [field.name for field in fields(IndexRow)], map(astuple, rows))


def read_index(path: str | Path) -> list[IndexRow]:
    """Index written by `write_index`."""
    numbers = ("label", "width", "height", "defect_pixels")
    return [
        IndexRow(**{name: int(text) if name in numbers else text for name, text in row.items()})
        for row in read_tsv(path)
    ]


def images_digest(rows: Iterable[IndexRow]) -> str:
    """Digest of a category's images in order, whatever is said of them: 16 hexadecimal digits."""
    return hashlib.sha256("".join(row.sha256 for row in rows).encode()).hexdigest()[:16]


def dataset_digest(rows: Iterable[IndexRow]) -> str:
    """Digest of a category's images, names, splits and labels: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(f"{row.path}\0{row.split}\0{row.label}\0{row.mask}\0{row.sha256}\n".encode())
    return digest.hexdigest()[:16]


Groups = str | Mapping[str, str]
"""A regular expression, or ``{"csv": file}``: the key `groups` of a dataset in the config."""

OWN = "own.csv"
"""File in a category's folder with what its source knows of images and masks that it has linked."""


class Own(NamedTuple):
    """What a source knows of a link: what the user calls the file, and its group; or empty."""

    path: str
    group: str


def write_own(folder: Path, known: Mapping[str, Own]) -> None:
    """Write down what a source knows of the links in a category's folder, by their places there."""
    with open(folder / OWN, "a", encoding="utf-8", newline="") as stream:
        head = [] if stream.tell() else [("link", *Own._fields)]
        rows = [(link, *own) for link, own in sorted(known.items())]
        csv.writer(stream, lineterminator="\n").writerows([*head, *rows])


def read_own(folder: Path) -> dict[str, Own]:
    """What `write_own` has written; empty where it has not."""
    rows = read_csv(folder / OWN) if (folder / OWN).is_file() else []
    return {row["link"]: Own(row["path"], row["group"]) for row in rows}


def assign_groups(rows: Sequence[IndexRow], groups: Groups, category: str) -> list[IndexRow]:
    """Rows with their groups; an image that is not named has none.

    Parameters
    ----------
    rows
        Index of the category.
    groups, category
        As in `group_names`, and so are the errors.
    """
    names = group_names([row.path for row in rows], groups, category)
    return [replace(row, group=name) for row, name in zip(rows, names, strict=True)]


def read_grouped_index(path: str | Path, groups: Groups, category: str) -> list[IndexRow]:
    """Index of a category with the groups that the dataset's settings name, if they name any."""
    index = read_index(path)
    return assign_groups(index, groups, category) if groups else index


def join_copies(rows: Sequence[IndexRow]) -> list[IndexRow]:
    """Rows in which images of equal content are of one group, for they are one image.

    Groups that share an image are one, too. Copies in several splits join nothing.
    """
    names = [(not row.group, row.group or f"copies of {row.path}") for row in rows]
    contents = [(row.split, row.sha256) for row in rows]
    while (joined := _lowest(names, _lowest(contents, names))) != names:
        names = joined
    sizes = Counter(names)
    return [
        replace(row, group=name) if row.group or sizes[alone, name] > 1 else row
        for row, (alone, name) in zip(rows, names, strict=True)
    ]


def _lowest(keys: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """For each key, the lowest value that goes with it anywhere."""
    lowest: dict[Any, Any] = {}
    for key, value in zip(keys, values, strict=True):
        lowest[key] = min(value, lowest.get(key, value))
    return [lowest[key] for key in keys]


def group_names(paths: Sequence[str], groups: Groups, category: str) -> list[str]:
    """Group of each path; empty for none.

    Parameters
    ----------
    paths
        Of the images of one category.
    groups
        A regular expression that is searched for in each path: its capture groups, joined by
        ``/``, or else the whole match, are the group's name. Or ``{"csv": file}`` with the columns
        path and group; the path starts in the category's folder or with the category's name.
    category
        Its name.

    Raises
    ------
    InputError
        If the expression does not compile, or the CSV cannot be read, lacks a column or gives an
        image two groups; also where there are no paths.
    """
    if isinstance(groups, str):
        try:
            pattern = re.compile(groups)
        except re.error as error:
            raise InputError(f"{groups!r} is no regular expression ({error}); mend it") from error
        return [_matched(pattern, path) for path in paths]
    listed = _listed(Path(groups["csv"]), category)
    return [listed.get(path, "") for path in paths]


def review_notes(rows: Sequence[IndexRow]) -> list[str]:
    """How many images came back from the line, and as what; empty for none."""
    counts = Counter((row.split, row.label) for row in rows if is_reviewed(row.path))
    if not counts:
        return []
    return [
        f"came back from the line: {counts['test', 0]} good and {counts['test', 1]} defective test "
        f"images, {counts['train', 0]} training images"
    ]


def group_notes(rows: Sequence[IndexRow]) -> list[str]:
    """What is odd in the groups of a category: images without one, groups in several splits."""
    notes = []
    without = sum(not row.group for row in rows)
    if without:
        notes.append(f"groups: {without} of {len(rows)} images have none; each counts as its own")
    train, calibration, test = (
        {row.group for row in rows if row.split == split and row.group} for split in SPLITS
    )
    for one, other, names, meaning in (
        (
            train,
            test,
            "train and test",
            "the test figures are those of known parts, the threshold is one for new parts",
        ),
        (
            train,
            calibration,
            "train and calibration",
            "the threshold is one for known parts: calibrate on others",
        ),
        (
            calibration,
            test,
            "calibration and test",
            "the test figures are those of the parts that set the threshold",
        ),
    ):
        if one & other:
            notes.append(
                f"groups: {len(one & other)} of {len(one | other)} have images in both {names}; "
                f"{meaning}"
            )
    trained_on = [row for row in rows if row.split == SPLITS[0]]
    if len(trained_on) > len(train) == 1 and not calibration and all(r.group for r in trained_on):
        notes.append(
            "groups: all training images are of one, so that none can be held out and no threshold "
            "be set; mend `groups`"
        )
    return notes


def _matched(pattern: re.Pattern[str], path: str) -> str:
    match = pattern.search(path)
    if match is None:
        return ""
    return "/".join(part or "" for part in match.groups()) if pattern.groups else match[0]


def _listed(file: Path, category: str) -> dict[str, str]:
    """Groups by path in a category, as the CSV gives them."""
    listed: dict[str, str] = {}
    for row in read_user_table(file, ("path", "group"), "a CSV of groups"):
        # programs of Windows write its separators
        image, group = row["path"].replace("\\", "/"), row["group"].strip()
        if image.startswith("/") or image[1:3] == ":/":
            raise InputError(f"{file}: {image}: name images from their category's folder on")
        image = image.removeprefix(f"{category}/")
        if listed.setdefault(image, group) != group:
            raise InputError(f"{file}: gives {image} two groups; keep one")
    return listed
