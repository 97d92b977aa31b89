"""The configuration page is that of the schema and the scorers, and its examples are valid."""

import runpy
from pathlib import Path

import jsonschema
import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "write_configuration.py"))
SCHEMA = SCRIPT["SCHEMA"]
KEYS = {
    f"{path}.{name}": key
    for path, block in SCRIPT["blocks_of"]("", SCHEMA)
    for name, key in block["properties"].items()
}


def test_the_page_says_what_schema_and_scorers_say():
    assert SCRIPT["PAGE"].read_text(encoding="utf-8") == SCRIPT["page"](), "run `make docs`"


def test_every_key_has_a_section_or_a_row():
    assert {".seed", "studies.across[].train", "datasets.NAME.groups"} <= KEYS.keys()


@pytest.mark.parametrize("key", KEYS)
def test_every_example_is_valid(key: str):
    validator = jsonschema.Draft202012Validator({"$defs": SCHEMA["$defs"], **KEYS[key]})
    for example in KEYS[key]["examples"]:
        validator.validate(example)
