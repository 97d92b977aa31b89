"""reports/{dataset}.json: complete, by its schema, and what a run ends in."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml
from made_results import LIMITS, SCRIPTS, run_table, write_cell

from defectbench.reports.closing_text import closing_lines
from defectbench.storage import read_json

SCHEMA = yaml.safe_load((SCRIPTS.parent / "schemas" / "report.schema.yaml").read_text())
GOOD = [(f"test/good/{k}.png", 0, "good") for k in range(100)]
BAD = [(f"test/dent/{k}.png", 1, "dent") for k in range(100)]


def made(
    root: Path,
    images: list,
    quality: float,
    costs: dict | None = None,
    training: int = 209,
    shift: float = 0.0,
) -> Path:
    """The JSON of two detectors on such images, the second a little worse.

    Of the test images, good and defective, scores lie `shift` above those of training images.
    """
    labels = np.array([label for _, label, _ in images])
    rng = np.random.default_rng(3)
    cells = [
        write_cell(
            root,
            "parts",
            "plate",
            (method, "net"),
            images,
            rng.normal(shift + (quality - less) * labels, 1),
            rng.normal(0, 1, training),
        )
        for method, less in (("a", 0.0), ("b", 0.5))
    ]
    return run_table(root, "parts", cells, ["plate"], costs)


MONEY = {"escape": 10, "false_alarm": 1}


@pytest.mark.parametrize(
    ("case", "verdict", "advice"),
    [
        ({"images": GOOD + BAD, "quality": 7.0, "costs": MONEY}, "as_it_is", None),
        ({"images": GOOD + BAD, "quality": 1.0}, "not_yet", "detector"),
        ({"images": GOOD + BAD, "quality": 7.0, "training": 9}, "no_promise", "good_parts"),
        ({"images": GOOD[:60] + BAD[:60], "quality": 7.0}, "within", "test_parts"),
        ({"images": GOOD[:30] + BAD[:30], "quality": 3.5}, "unknown", "test_parts"),
        ({"images": GOOD + BAD, "quality": 5.0, "shift": 3.0}, None, "calibrate"),
        ({"images": GOOD, "quality": 1.0}, None, "test_parts"),
    ],
)
def test_the_json_follows_its_schema(
    tmp_path: Path, case: dict[str, Any], verdict: str | None, advice: str | None
):
    found = read_json(made(tmp_path, **case))
    jsonschema.validate(found, SCHEMA)
    (entry,) = found["categories"]
    assert (entry["usability"] or {}).get("verdict") == verdict
    assert next((each["what"] for each in entry["advice"]), None) == advice
    assert len(entry["words"]["advice"]) == len(entry["advice"])
    assert found["limits"] == LIMITS
    assert {cell["made"]["scorer"] for cell in found["cells"]} == {"pca_fre"}


def test_what_cannot_be_concluded_names_what_is_missing(tmp_path: Path):
    words = read_json(made(tmp_path, GOOD, 1.0))["words"]
    assert words["headline"] == "Nothing can be concluded: no defective test image."


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


def test_a_run_ends_in_what_to_take_what_it_does_and_what_to_do_next(tmp_path: Path):
    file = made(tmp_path, GOOD + BAD, 1.0)
    report = file.with_name("parts_table.md")
    # a table of results in a category that is called like the folder of reports
    lines: list[Any] = closing_lines([file, report, tmp_path / "results/x/reports/notes.json"])
    assert lines[0].startswith("parts: ")
    assert lines[1] == "plate: not usable yet: too many defective parts slip through"
    assert re.fullmatch(r"  detector: a on net, threshold \S+", lines[2])
    escapes = r"  on the test images .* of 1,000 defective parts slip through; at most 50 may"
    assert re.fullmatch(escapes, lines[3])
    assert re.fullmatch(r"  on the test images .* good parts are rejected; .*", lines[4])
    assert lines[5].startswith("  to do next: Another detector: ")
    assert lines[6] == f"table: {report}"
    assert len(lines) == 7
