"""reports/{dataset}.json: complete, by its schema, and what a run ends in."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml
from made_results import LIMITS, SCRIPTS, run_table, write_cell

from defectbench.reports.decision_text import closing_lines
from defectbench.storage import read_json

SCHEMA = yaml.safe_load((SCRIPTS.parent / "schemas" / "report.schema.yaml").read_text())
GOOD = [(f"test/good/{k}.png", 0, "good") for k in range(100)]
BAD = [(f"test/dent/{k}.png", 1, "dent") for k in range(100)]


def made(root: Path, images: list, quality: float, costs: dict | None = None) -> Path:
    """The JSON of two detectors on such images, the second a little worse."""
    labels = np.array([label for _, label, _ in images])
    rng = np.random.default_rng(3)
    cells = [
        write_cell(
            root,
            "parts",
            "plate",
            (method, "net"),
            images,
            rng.normal((quality - less) * labels, 1),
            rng.normal(0, 1, 209),
        )
        for method, less in (("a", 0.0), ("b", 0.5))
    ]
    return run_table(root, "parts", cells, ["plate"], costs)


@pytest.mark.parametrize(
    ("images", "quality", "costs", "verdict"),
    [
        (GOOD + BAD, 7.0, {"escape": 10, "false_alarm": 1}, "as_it_is"),
        (GOOD + BAD, 1.0, None, "not_yet"),
        (GOOD[:30] + BAD[:30], 3.5, None, "unknown"),
        (GOOD, 1.0, None, None),
    ],
)
def test_the_json_follows_its_schema(
    tmp_path: Path, images: list, quality: float, costs: dict | None, verdict: str | None
):
    found = read_json(made(tmp_path, images, quality, costs))
    jsonschema.validate(found, SCHEMA)
    (entry,) = found["categories"]
    assert (entry["usability"] or {}).get("verdict") == verdict
    assert found["limits"] == LIMITS
    assert {cell["made"]["scorer"] for cell in found["cells"]} == {"pca_fre"}


def test_the_schema_describes_every_key_of_a_figure(tmp_path: Path):
    found = read_json(made(tmp_path, GOOD + BAD, 2.0))
    point = SCHEMA["$defs"]["point"]["properties"] | SCHEMA["$defs"]["rates"]["properties"]
    for cell in found["cells"]:
        assert set(cell["honest"]) <= set(point)
    assert set(found["overall"]) <= {
        *SCHEMA["properties"]["overall"]["properties"],
        *SCHEMA["$defs"]["choice"]["properties"],
        *SCHEMA["$defs"]["rates"]["properties"],
    }


def test_a_run_ends_in_three_lines_for_each_category(tmp_path: Path):
    file = made(tmp_path, GOOD + BAD, 1.0)
    report = file.with_name("parts_table.md")
    # a table of results in a category that is called like the folder of reports
    lines: list[Any] = closing_lines([file, report, tmp_path / "results/x/reports/notes.json"])
    assert lines[0].startswith("parts: ")
    assert lines[1] == "plate: not usable yet: too many defective parts slip through"
    assert re.fullmatch(
        r"  a on net, threshold \S+: .* slip through \(at most 50 may\), .*", lines[2]
    )
    assert lines[3].startswith("  Another detector: ")
    assert lines[4] == f"table: {report}"
    assert len(lines) == 5
