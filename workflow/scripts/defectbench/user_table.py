"""Tables that users write, as CSV of any program: read whole, or refused with the line."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from defectbench.errors import InputError
from defectbench.special_files import is_special

SEPARATORS = ";\t,"
NO_TEXT = "is no UTF-8 text; save it with that encoding"


def read_user_table(file: Path, columns: Sequence[str], what: str) -> list[dict[str, str]]:
    """Rows of a CSV with a header, by column.

    Separators are commas, semicolons or tabs, whichever the first line has. Blanks around names of
    columns are nothing.

    Parameters
    ----------
    file
        UTF-8, with any line ends.
    columns
        That it needs.
    what
        The table is, for errors.

    Raises
    ------
    InputError
        If it cannot be read, a column is missing or there twice, or a line has other cells than
        the first one.
    """
    if is_special(file):
        raise InputError(f"{file}: is no file; name {what}")
    try:
        text = file.read_text(encoding="utf-8-sig")
        if "\0" in text:  # as UTF-16 has them
            raise InputError(f"{file}: {NO_TEXT}")
        first = text.split("\n", 1)[0]
        separator = next((each for each in SEPARATORS if each in first), ",")
        header, *lines = list(csv.reader(io.StringIO(text), delimiter=separator)) or [[]]
    except UnicodeDecodeError:
        raise InputError(f"{file}: {NO_TEXT}") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read as {what} ({error.strerror}); mend it") from error
    except csv.Error as error:
        raise InputError(f"{file}: cannot be read as {what} ({error}); mend it") from error
    names = [name.strip() for name in header]
    if any(names.count(column) != 1 for column in columns):
        raise InputError(f"{file}: needs the columns {' and '.join(columns)}, each once; mend it")
    for number, cells in enumerate(lines, start=2):
        if cells and len(cells) != len(names):
            raise InputError(
                f"{file}: row {number} has {len(cells)} cells and the first one {len(names)}; put "
                f"a text that holds {separator!r} in quotes"
            )
        if any("\n" in cell for cell in cells):
            raise InputError(f"{file}: row {number}: a quote is opened and not closed; mend it")
    return [dict(zip(names, cells, strict=True)) for cells in lines if cells]
