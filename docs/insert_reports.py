"""Insert what runs reported into README.md and docs/: `make docs`.

What stands between ``<!-- from FILE | HEADING | PART -->`` and ``<!-- end -->`` becomes that part
of the section: its first table where no part is named, ``table 2``, or ``lines with TEXT``.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MARKED = re.compile(
    r"^(?P<begin><!-- from (?P<file>[^|\n]+?) \| (?P<heading>[^|\n]+?)"
    r"(?: \| (?P<part>[^\n]+?))? -->\n).*?^<!-- end -->$",
    re.MULTILINE | re.DOTALL,
)


def with_reports(text: str) -> str:
    """A page with the reports' present lines between its markers.

    Raises
    ------
    ValueError
        If a report, section or part that it names is not there.
    """

    def renewed(marked: re.Match[str]) -> str:
        file, heading, part = marked["file"], marked["heading"], marked["part"] or "table 1"
        try:
            lines = part_of(section(ROOT / file, heading), part)
        except OSError as error:
            raise ValueError(f"{file}: cannot be read ({error.strerror})") from error
        if not lines:
            raise ValueError(f"{file}: no {part} under the heading {heading!r}")
        return marked["begin"] + "\n".join(lines) + "\n<!-- end -->"

    return MARKED.sub(renewed, text)


def section(report: Path, heading: str) -> list[str]:
    """Lines below a heading, up to the next."""
    lines = report.read_text(encoding="utf-8").splitlines()
    begins = [number for number, line in enumerate(lines) if line.lstrip("#") == f" {heading}"]
    if not begins:
        return []
    found = lines[begins[0] + 1 :]
    end = next((number for number, line in enumerate(found) if line.startswith("#")), len(found))
    return found[:end]


def part_of(lines: list[str], part: str) -> list[str]:
    """A table of a section by its number, or its lines that hold a text."""
    if part.startswith("lines with "):
        return [line for line in lines if part.removeprefix("lines with ") in line]
    tables = re.findall(r"(?:^\|.*\n?)+", "\n".join(lines), re.MULTILINE)
    number = int(part.removeprefix("table "))
    return tables[number - 1].splitlines() if number <= len(tables) else []


def main() -> None:
    """Rewrite the pages whose reports have changed."""
    for page in PAGES:
        old = page.read_text(encoding="utf-8")
        try:
            new = with_reports(old)
        except ValueError as error:
            sys.exit(f"error: {page.relative_to(ROOT)}: {error}")
        if new != old:
            page.write_text(new, encoding="utf-8")
            print(f"{page.relative_to(ROOT)}: renewed")


if __name__ == "__main__":
    main()
