"""What a search may spend, as the settings write it: `10min`, `40` trials, `20GB`."""

import re

SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
BYTES = {"MB": 1e6, "GB": 1e9, "TB": 1e12}


def seconds_and_trials(text: str | int) -> tuple[float | None, int | None]:
    """A budget: seconds, or a number of trials; the other one is None."""
    if isinstance(text, int) or text.isdigit():
        return None, int(text)
    return _amount(text, SECONDS), None


def bytes_of(text: str) -> float:
    """Room on a disk."""
    return _amount(text, BYTES)


def _amount(text: str, units: dict[str, float]) -> float:
    found = re.fullmatch(r"([0-9.]+) ?([A-Za-z]+)", text)
    assert found, "the schema has checked it"
    return float(found[1]) * units[found[2]]
