"""Parts that were scored on the line and whose verdicts somebody has reviewed.

``review.csv`` says of scored images, by their paths in ``scores.csv`` beside it, whether the
verdict was ``right`` or ``wrong``. So a part that was called good rightly, or defective wrongly, is
good, and the others are defective.
"""

from pathlib import Path, PurePosixPath
from typing import NamedTuple

from defectbench.errors import InputError
from defectbench.images.layout import REVIEWED
from defectbench.names import link_names
from defectbench.provenance import file_sha256
from defectbench.score_table import DEFECTIVE, UNREADABLE, read_rows
from defectbench.user_table import read_user_table

COLUMNS = ("path", "review")
RIGHT, WRONG = "right", "wrong"
DEFECT = "reviewed"
"""Type of the defects that were found on the line."""


class Reviewed(NamedTuple):
    """An image that came back.

    Attributes
    ----------
    place
        Its path in the category's folder.
    file
        The image.
    sha256
        Of its content, which was scored.
    """

    place: str
    file: Path
    sha256: str


def read_review(review: Path, images: Path, train: bool = False) -> list[Reviewed]:
    """Images that a review turns into images of a category, sorted by their places.

    Parameters
    ----------
    review
        ``review.csv``; the tables of scores lie beside it.
    images
        The folder that was scored.
    train
        Whether confirmed good parts become training images; they are test images otherwise, and
        confirmed defective ones always.

    Raises
    ------
    InputError
        If a review cannot be read, names an image that was not scored or is not there as it was
        scored, or calls a verdict right and wrong.
    """
    verdicts = {(row["path"], row["sha256"]): row["verdict"] for row in read_rows(review.parent)}
    found = []
    for path, answer in _answers(review).items():
        file = images / path.replace("\\\\", "\\")  # a table of scores has it twice
        try:
            digest = file_sha256(file)
        except OSError as error:
            raise InputError(
                f"{file}: cannot be read ({error.strerror}); {review} names it"
            ) from error
        verdict = verdicts.get((path, digest))
        if verdict is None or verdict == UNREADABLE:
            raise InputError(
                f"{file}: no verdict on this content in the tables beside {review}; review images "
                "that were scored, and keep them as they were"
            )
        is_good = (verdict != DEFECTIVE) == (answer == RIGHT)
        folder = f"{'train' if train else 'test'}/good" if is_good else f"test/{DEFECT}"
        found.append((folder, path, file, digest))
    names = link_names([PurePosixPath(path).as_posix() for _, path, *_ in found])
    return sorted(
        Reviewed(f"{folder}/{REVIEWED}{name}", file, digest)
        for name, (folder, _, file, digest) in zip(names, found, strict=True)
    )


def _answers(review: Path) -> dict[str, str]:
    """`RIGHT` or `WRONG` by path."""
    answers: dict[str, str] = {}
    for row in read_user_table(review, COLUMNS, "a review"):
        path, answer = row["path"], row["review"].strip().lower()
        if not answer:  # of a table of scores to which a column was added
            continue
        if answer not in (RIGHT, WRONG):
            raise InputError(f"{review}: {path}: {answer!r} is neither {RIGHT} nor {WRONG}")
        if answers.setdefault(path, answer) != answer:
            raise InputError(f"{review}: calls the verdict on {path} {RIGHT} and {WRONG}")
    return answers
