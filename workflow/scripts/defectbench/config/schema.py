"""Settings checked against the schema, with defaults filled in and spellings made alike."""

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema.protocols
import jsonschema.validators
import yaml

from defectbench.errors import InputError
from defectbench.images.canvas import SQUASH

SCHEMA = Path(__file__).parents[3] / "schemas" / "config.schema.yaml"

READ: Mapping[str, Callable[[str], Any]] = {
    "integer": int,
    "number": float,
    "boolean": {"true": True, "false": False}.__getitem__,
}
"""How a string is read where the schema wants another type."""

NO_NAMES = {bool: "a truth value (`no`, `on`)", int: "a number", float: "a number", date: "a date"}
"""What YAML makes of some names that are not in quotes."""

NAME = "^[A-Za-z0-9][A-Za-z0-9_"
"""How patterns of names in the schema begin."""

MOST_LISTED = 40
"""Of the allowed names, in an error; backbones have hundreds of layers."""


LARGEST = 1e18
"""Of numbers; beyond it, whole ones are none for NumPy."""


def _is_number(checker: jsonschema.TypeChecker, value: Any) -> bool:
    """Not .nan, which lies within all bounds, nor .inf."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _is_integer(checker: jsonschema.TypeChecker, value: Any) -> bool:
    """Not 64.0, with which no array can be made."""
    return isinstance(value, int) and _is_number(checker, value)


PlainNumbers = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"number": _is_number, "integer": _is_integer}
    ),
)
"""Validates against a schema whose numbers are such that can be computed with."""


def check_schema(config: dict[str, Any]) -> None:
    """Refuse what the schema forbids: unknown keys, missing ones, wrong types; fill in defaults.

    Numbers and truth values that arrive as strings, as in ``--config 'threshold={folds: 3}'``, are
    made what they say, and what can be spelled in two ways gets one spelling.

    Raises
    ------
    InputError
        Naming every key's path and what is wrong with it.
    """
    _check_names(config)
    if isinstance(config.get("studies"), dict):  # config.yaml has some, to which others are added
        config["studies"] = {
            name: how for name, how in config["studies"].items() if how is not None
        }
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's takes a tenth of the time
    schema = yaml.load(SCHEMA.read_text(encoding="utf-8"), loader)
    validator = PlainNumbers(schema)
    _read_strings(config, validator)
    problems = [
        f"{'.'.join(map(str, error.absolute_path)) or 'top level'}: {_in_words(error)}"
        for error in validator.iter_errors(config)
    ]
    if problems:
        raise InputError("config: " + "; ".join(problems))
    # `snakemake.utils.validate` does the same, and imports pandas for it
    list(_FillingIn(schema).iter_errors(config))
    _spell_alike(config)


def _check_names(settings: Any, path: str = "config") -> None:
    """Refuse keys that YAML does not read as text: 2024, a date, `no`.

    Raises
    ------
    InputError
        Naming the first of them.
    """
    if isinstance(settings, dict):
        for key, value in settings.items():
            if not isinstance(key, str):
                read = NO_NAMES.get(type(key), "something else")
                raise InputError(f"{path}: YAML reads {read} in place of a name, {key}; quote it")
            _check_names(value, f"{path}.{key}")


def _with_defaults(
    validator: jsonschema.protocols.Validator,
    properties: Mapping[str, Any],
    instance: Any,
    schema: Mapping[str, Any],
) -> Iterator[jsonschema.ValidationError]:
    """The keyword ``properties``, which first sets what is missing and has a ``default``."""
    if isinstance(instance, dict):
        for key, entry in properties.items():
            if "default" in entry:
                instance.setdefault(key, copy.deepcopy(entry["default"]))
    check = jsonschema.Draft202012Validator.VALIDATORS["properties"]
    yield from check(validator, properties, instance, schema)


_FillingIn = jsonschema.validators.extend(
    jsonschema.Draft202012Validator, {"properties": _with_defaults}
)


def _read_strings(config: Mapping[str, Any], validator: jsonschema.protocols.Validator) -> None:
    """Read the strings that Snakemake makes of numbers in ``--config 'key={…: 0.01}'``."""
    found = list(validator.iter_errors(config))
    for error in [*found, *(inner for outer in found for inner in outer.context or ())]:
        wanted, text = error.validator_value, error.instance
        if error.validator != "type" or wanted not in READ or not isinstance(text, str):
            continue
        *parents, key = error.absolute_path
        place: Any = config
        for parent in parents:
            place = place[parent]
        with contextlib.suppress(ValueError, KeyError):
            place[key] = READ[wanted](text)


def _in_words(error: jsonschema.ValidationError) -> str:
    """What the schema forbids, with the keys that it allows."""
    if error.validator == "additionalProperties" and error.schema.get("properties"):
        allowed = list(error.schema["properties"])
        unknown = [key for key in error.instance if key not in allowed]
        return "; ".join(f"unknown key {key!r}; {allowed_names(key, allowed)}" for key in unknown)
    if error.validator == "type" and error.validator_value == "string":
        remedy = "" if isinstance(error.instance, dict | list) else " to YAML; write it in quotes"
        return f"{error.instance!r} is no text{remedy}"
    if error.validator == "pattern" and error.validator_value.startswith(NAME):
        return f"{error.instance!r} may hold letters, digits, _ and - alone, and begin with neither"
    examples = [
        each
        for place in (error, error.parent)
        if place
        for each in place.schema.get("examples", ())
    ]
    if error.validator == "pattern" and examples:
        return f"{error.instance!r} does not fit; write it like {examples[0]}"
    if error.validator == "anyOf":
        inner = error.context or ()
        deepest = max((len(each.absolute_path) for each in inner), default=0)
        near = [each for each in inner if len(each.absolute_path) == deepest]
        of_other_types = {"type"} if isinstance(error.instance, str) else {"type", "enum", "const"}
        of_its_type = [each for each in near if each.validator not in of_other_types]
        return ", and ".join(dict.fromkeys(map(_in_words, of_its_type or near)))
    return error.message


def _spell_alike(config: dict[str, Any]) -> None:
    """Give settings of the same meaning the same spelling: what differs is computed again."""
    for entry in (*config["datasets"].values(), *config["backbones"].values()):
        _expand_home(entry)
    chosen = config["categories"]
    if isinstance(chosen, str) and chosen != "all":
        config["categories"] = [name.strip() for name in chosen.split(",")]
    for preprocessing in config["preprocessings"].values():
        if preprocessing.get("aspect") == SQUASH:
            del preprocessing["aspect"]
    for dataset in config["datasets"].values():
        if dataset["source"] != "features":
            dataset.setdefault("methods", list(config.get("default_methods", [])))


def _expand_home(entry: dict[str, Any]) -> None:
    """Put the home folder in the place of ~ in paths."""
    for key, value in entry.items():
        if isinstance(value, dict):
            _expand_home(value)
        elif isinstance(value, str) and value.startswith("~/"):
            entry[key] = str(Path(value).expanduser())


def check_known(path: str, value: str, allowed: Iterable[str], kind: str = "value") -> None:
    """Refuse a value that is not among those allowed.

    Raises
    ------
    InputError
        Naming the key's path, the nearest of the allowed values and all of them.
    """
    if value not in allowed:
        names = allowed_names(value, allowed)
        raise InputError(f"config: {path}: unknown {kind} {value!r}; {names}")


def allowed_names(wrong: str, allowed: Iterable[str]) -> str:
    """What a wrong name could have been: the nearest of the allowed names, and what there is."""
    names = list(allowed)
    close = get_close_matches(str(wrong), names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    if len(names) > MOST_LISTED:
        names = [*[name for name in names if "." not in name][:MOST_LISTED], "…"]
    return f"{hint}it can be {', '.join(names)}"
