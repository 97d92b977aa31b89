"""Which of a dataset's categories a report covers."""

from collections.abc import Sequence

MOST_NAMED = 6


def scope_line(covered: Sequence[str], categories: Sequence[str]) -> str:
    """The first line of every report.

    Parameters
    ----------
    covered
        Categories that the report was made of.
    categories
        All of the dataset.
    """
    missing = [name for name in categories if name not in covered]
    if not missing:
        several = len(categories) > 1
        return (
            f"Covers all {len(categories)} categories." if several else "Covers the one category."
        )
    shorter = missing if len(missing) < len(covered) else covered
    names = ", ".join(shorter[:MOST_NAMED]) + ", …" * (len(shorter) > MOST_NAMED)
    return (
        f"Covers {len(covered)} of {len(categories)} categories: "
        f"{'all but ' if shorter is missing else ''}{names}. The same command for all categories "
        "adds the others that are there, finished ones in seconds."
    )
