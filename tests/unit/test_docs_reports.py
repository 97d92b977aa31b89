"""Tables and lines in README and docs/ that come from runs are those of the published reports."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "docs" / "insert_reports.py"))
with_reports, MARKED = SCRIPT["with_reports"], SCRIPT["MARKED"]


@pytest.mark.parametrize("page", SCRIPT["PAGES"], ids=lambda page: page.name)
def test_a_page_shows_what_the_reports_say(page: Path):
    text = page.read_text(encoding="utf-8")
    assert with_reports(text) == text, "run `make docs`"


@pytest.mark.parametrize("page", SCRIPT["PAGES"], ids=lambda page: page.name)
def test_every_marker_of_a_page_is_understood(page: Path):
    text = page.read_text(encoding="utf-8")
    begun, ended = (len(re.findall(f"<!-- {word}", text)) for word in ("from", "end"))
    assert begun == ended == len(MARKED.findall(text))


def test_the_readme_shows_the_demos_table_and_what_sets_a_threshold_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    decision = "Which detector, which threshold, what slips through"
    assert [(marked["heading"], marked["part"]) for marked in MARKED.finditer(text)] == [
        (decision, None),
        (decision, "lines with Look at"),
    ]


def marked(place: str, content: str = "old\n") -> str:
    return f"before\n\n<!-- from {place} -->\n{content}<!-- end -->\nafter\n"


def test_a_stale_table_is_renewed_and_what_surrounds_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "r.md").write_text(
        "# T\n\n## One, cold\n\n|a|\n|b|\n\ntext\n\n|c|\n\n## Two\n\n|d|\n"
    )
    monkeypatch.setitem(with_reports.__globals__, "ROOT", tmp_path)
    assert with_reports(marked("r.md | One, cold")) == marked("r.md | One, cold", "|a|\n|b|\n")
    assert "\n|c|\n<!-- end" in with_reports(marked("r.md | One, cold | table 2"))
    assert "\ntext\n<!-- end" in with_reports(marked("r.md | One, cold | lines with ex"))
    for missing in (
        "r.md | One",
        "r.md | Two | table 2",
        "r.md | Two | lines with c",
        "s.md | Two",
    ):
        with pytest.raises(ValueError, match=r"^[rs]\.md: "):
            with_reports(marked(missing))
