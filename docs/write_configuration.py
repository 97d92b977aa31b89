"""Write docs/configuration.md from the schema of the config and from the scorers: `make docs`."""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from defectbench.scorers import scorer_class, scorer_names  # noqa: E402

PAGE = ROOT / "docs" / "configuration.md"
SCHEMA = yaml.safe_load(
    (ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text(encoding="utf-8")
)
METHODS = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))["methods"]
BEGIN = """# Configuration

The project's own settings are [config.yaml](../config.yaml). Yours go into a file such as my.yaml,
which is merged over them: `make run CONFIG=my.yaml`, or `snakemake --configfile my.yaml`. Single
keys can be given on the command line: `snakemake --config 'threshold={folds: 10}'`. Relative paths
begin in the folder of the run. What is no key of this page is refused.

`make docs` writes this page from [the schema](../workflow/schemas/config.schema.yaml) that every
run checks, and from the scorers.
"""
SCORERS = """
## Parameters of scorers

They stand in a method's line, beside the keys of [`methods.NAME`](#methodsname). What each scorer
does and when to use it: [methods](methods.md).
"""
WORDS = {"string": "text", "boolean": "`true` or `false`", "null": "`null`", "object": "block"}
SIGNS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
NO_PARAMETERS = "No parameters.\n"
HEADER = ("key", "type", "default", "example", "meaning")


def page() -> str:
    """The whole page."""
    blocks = "".join(section(*each) for each in blocks_of("", SCHEMA))
    return BEGIN + blocks + SCORERS + "".join(map(scorer_section, scorer_names()))


def blocks_of(path: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every object of the schema that has keys of its own, by its dotted path, outer ones first."""
    yield path, schema
    for name, entry in schema["properties"].items():
        if inner := inner_block(name, entry):
            yield from blocks_of(f"{path}.{inner[0]}".strip("."), inner[1])


def inner_block(name: str, entry: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """Name and schema of the object with keys of its own that a key holds, if it holds any."""
    inner = {name: entry, f"{name}.NAME": entry.get("additionalProperties")}
    inner[f"{name}[]"] = entry.get("items")
    having = (item for item in inner.items() if "properties" in (item[1] or {}))
    return next(having, None)


def section(path: str, schema: Mapping[str, Any]) -> str:
    """Heading of a block and a table of its keys."""
    rows = []
    for name, short in schema["properties"].items():
        entry = resolved(short)
        default = code(entry["default"]) if "default" in entry else ""
        inner = inner_block(name, entry)
        anchor = re.sub(r"[^\w]", "", f"{path}{inner[0]}".lower()) if inner else ""
        meaning = re.sub(r"docs/(\w+)\.md", r"[\1](\1.md)", " ".join(entry["description"].split()))
        rows.append(
            (
                f"[`{name}`](#{anchor})" if inner else f"`{name}`",
                type_in_words(entry),
                # config.yaml has what is needed at the top
                "needed" if name in schema.get("required", ()) and path else default,
                ", ".join(map(code, entry["examples"])),
                meaning,
            )
        )
    return f"\n## {f'`{path}`' if path else 'Top level'}\n\n{table(rows)}"


def scorer_section(name: str) -> str:
    """Heading of a scorer and a table of its parameters, from the docstring of its class."""
    scorer = scorer_class(name)
    described = dict(parameters(inspect.getdoc(scorer) or ""))
    defaults = inspect.signature(scorer).parameters
    example = next(method for method in METHODS.values() if method["scorer"] == name)
    rows = [
        (
            f"`{key}`",
            type_in_words(schema),
            code(defaults[key].default),
            code(example.get(key, defaults[key].default)),
            described[key].replace("``", "`").replace("None:", "`null`:"),
        )
        for key, schema in scorer.parameter_schema.items()
    ]
    return f"\n### `{name}`\n\n{code(example)}\n\n{table(rows) if rows else NO_PARAMETERS}"


def parameters(docstring: str) -> Iterator[tuple[str, str]]:
    """Names and descriptions in the section Parameters of a numpydoc docstring."""
    _, _, after = docstring.partition("Parameters\n----------\n")
    section, *_ = re.split(r"^\w+\n---", after, flags=re.MULTILINE)
    for name, lines in re.findall(r"^(\w+)\n((?:    .*\n)+)", section, flags=re.MULTILINE):
        yield name, " ".join(lines.split())


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema with what it refers to below ``$defs`` in its place."""
    if "$ref" not in schema:
        return schema
    return SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] | schema


def type_in_words(schema: Mapping[str, Any]) -> str:
    """What a value may be."""
    schema = resolved(schema)
    if "enum" in schema or "const" in schema:
        return either(code(value) for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return either(map(type_in_words, schema["anyOf"]))
    if isinstance(schema["type"], list):
        return either(type_in_words(schema | {"type": each}) for each in schema["type"])
    if schema["type"] == "array":
        return f"list: {type_in_words(schema['items'])}"
    if schema["type"] in WORDS:
        return WORDS[schema["type"]]
    limits = ", ".join(f"{sign} {schema[key]}" for key, sign in SIGNS.items() if key in schema)
    return f"{schema['type']} {limits}"


def either(words: Iterable[str]) -> str:
    """Words joined by *or*."""
    *others, last = dict.fromkeys(words)
    return f"{', '.join(others)} or {last}" if others else last


def code(value: Any) -> str:
    """A value as a config spells it, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return f"`{text.strip().removesuffix('...').strip()}`"


def table(rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    lines = [HEADER, ["---"] * len(HEADER), *rows]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
