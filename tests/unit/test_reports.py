"""A report holds the cells that its rule names, says so first, and has times in their own file."""

from pathlib import Path

import numpy as np
import pytest
from made_results import inputs_of, write_cell, write_cost, write_page
from rules import rules, script_of
from snakemake.rules import Rule

from defectbench.evaluation.cells import collect_cells
from defectbench.reports.markdown import scope_line
from defectbench.reports.rendering import TEMPLATES
from defectbench.storage import read_json

CATEGORIES = [f"c{number}" for number in range(15)]
IMAGES = [(f"test/good/{k}.png", 0, "good") for k in range(20)]
IMAGES += [(f"test/dent/{k}.png", 1, "dent") for k in range(20)]
REPORTS = ("table.md", "details.md", "cost.md")


@pytest.mark.parametrize(
    ("covered", "said"),
    [
        (CATEGORIES, "all 15 categories."),
        (["c2", "c3"], "2 of 15 categories: c2, c3. "),
        (CATEGORIES[:13], "13 of 15 categories: all but c13, c14. "),
        (CATEGORIES[:7], "7 of 15 categories: c0, c1, c2, c3, c4, c5, …. "),
    ],
)
def test_the_first_line_says_which_categories_of_how_many(covered: list[str], said: str):
    assert scope_line(covered, CATEGORIES).startswith(f"Covers {said}".strip())
    assert scope_line(["c0"], ["c0"]) == "Covers the one category."


@pytest.fixture
def cells(tmp_path: Path) -> list[Path]:
    """Two detectors on each of two categories."""
    rng = np.random.default_rng(4)
    labels = np.array([label for _, label, _ in IMAGES])
    return [
        write_cell(
            tmp_path,
            "parts",
            category,
            (method, "net"),
            IMAGES,
            rng.normal(quality * labels, 1),
            rng.normal(0, 1, 60),
        )
        for category in ("plate", "ring")
        for method, quality in (("good", 3.0), ("poor", 0.5))
    ]


def reports(cells: list[Path]) -> dict[str, bytes]:
    """Content of table, page and their twins of these cells, among two categories."""
    root = cells[0].parents[4]
    page = write_page(root, "parts", cells, [], categories=["plate", "ring"])
    # when and where a run was made differs each time
    files = [file for file in page.parent.iterdir() if not file.name.endswith("_run.json")]
    return {file.name: file.read_bytes() for file in files}


def test_what_lies_beside_a_reports_inputs_is_not_read(cells: list[Path]):
    plate, ring = cells[:2], cells[2:]
    expected = reports(plate)
    for cell in ring:
        for file in cell.iterdir():
            file.write_bytes(b"damaged")
    assert reports(plate) == expected
    named = {"covers": {"categories": ["plate"], "of": 2}}
    decision = read_json(plate[0].parents[4] / "reports" / "parts.json")
    assert named.items() <= decision.items()
    assert {cell["category"] for cell in decision["cells"]} == {"plate"}
    for name in REPORTS:
        title, _, first, *_ = expected[f"parts_{name}"].decode().splitlines()
        assert title.startswith("# parts")
        assert first.startswith("Covers 1 of 2 categories: plate.")
    head = expected["parts.html"].decode().split("</h1>\n")[1]
    assert head.startswith('<p class="terms">Covers 1 of 2 categories: plate.')


def test_pixel_metrics_and_maps_that_the_rule_does_not_name_are_not_read(cells: list[Path]):
    given = inputs_of(cells[:1])
    for name in ("pixel_metrics.json", "maps.h5"):
        (cells[0] / name).write_text("of an earlier run")
    (cell,) = collect_cells(given)
    assert (cell.pixels, cell.maps) == ({}, None)


def test_other_times_change_the_files_that_show_them_and_no_other(cells: list[Path]):
    expected = reports(cells[:2])
    for cell in cells:
        write_cost(cell, 77.0)
    found = reports(cells[:2])
    assert {name for name in found if found[name] != expected[name]} == {
        "parts.html",
        "parts_cost.md",
    }


RENDERED = ("table", "page", "studies", "detectors")


@pytest.mark.parametrize("rule", [each for each in rules() if script_of(each) in RENDERED], ids=str)
def test_a_changed_sentence_makes_a_report_new(rule: Rule):
    assert {str(file) for file in TEMPLATES.iterdir()} <= set(map(str, rule.input))
