"""From the validated config to what has to be made; bad settings are refused with their key."""

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import jsonschema.protocols
import jsonschema.validators
import yaml

from defectbench.deployment.graphs import exportable_scorers
from defectbench.errors import InputError
from defectbench.images.groups import check_groups, group_names
from defectbench.images.layout import image_files, no_categories
from defectbench.images.resizing import SQUASH
from defectbench.scorers import scorer_class, scorer_names
from defectbench.sources.given_features import BACKBONE, feature_files
from defectbench.sources.mvtec_folder import folder_categories
from defectbench.sources.own_folders import own_categories, own_paths, training_images

WORDS = {"true": True, "false": False}
READ: Mapping[str, Callable[[str], Any]] = {
    "integer": int,
    "number": float,
    "boolean": WORDS.__getitem__,
}
DEMO = "elpv"
LOCAL = ("folder", "features")
METHOD_KEYS = frozenset(
    {"scorer", "layer", "layers", "pool", "preprocessing", "backbones", "resolution", "trimmed"}
)

Config = Mapping[str, Any]


class Cell(NamedTuple):
    """One entry of a table: a detector on a category."""

    category: str
    method: str
    backbone: str


def check_schema(config: Config, schema_file: Path) -> None:
    """Refuse what the schema forbids: unknown keys, missing ones, wrong types; fill in defaults.

    Numbers and truth values that arrive as strings, as in ``--config 'threshold={folds: 3}'``, are
    made what they say.

    Raises
    ------
    InputError
        Naming every key's path and what is wrong with it.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    schema = yaml.load(schema_file.read_text(encoding="utf-8"), loader)
    validator = jsonschema.Draft202012Validator(schema)
    _read_strings(config, validator)
    errors = validator.iter_errors(config)
    problems = [
        f"{'.'.join(map(str, error.absolute_path)) or 'top level'}: {_in_words(error)}"
        for error in errors
    ]
    if problems:
        raise InputError("config: " + "; ".join(problems))
    # `snakemake.utils.validate` does the same, and imports pandas for it
    list(_FillingIn(schema).iter_errors(config))


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


def _read_strings(config: Config, validator: jsonschema.protocols.Validator) -> None:
    """Read the strings that Snakemake makes of numbers in ``--config 'key={…: 0.01}'``."""
    for error in list(validator.iter_errors(config)):
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
    if error.validator == "not":
        return "not a key of this source"
    if error.validator == "additionalProperties" and error.schema.get("properties"):
        allowed = list(error.schema["properties"])
        unknown = [key for key in error.instance if key not in allowed]
        return "; ".join(_unknown("key", key, allowed) for key in unknown)
    return error.message


def check_config(config: Config) -> None:
    """Refuse what the schema cannot see: names that refer to nothing, scorer parameters.

    Raises
    ------
    InputError
        Naming the key's path and the allowed values.
    """
    for name, preprocessing in config["preprocessings"].items():
        if preprocessing.get("crop", 1) > preprocessing["size"]:
            raise InputError(f"config: preprocessings.{name}.crop: larger than size")
    for name, method in config["methods"].items():
        check_known(f"methods.{name}.scorer", method["scorer"], scorer_names())
        check_known(
            f"methods.{name}.preprocessing", method["preprocessing"], config["preprocessings"]
        )
        if scorer_class(method["scorer"]).localizes:
            _whole_image(config, name)
        schema = scorer_class(method["scorer"]).parameter_schema
        for key, value in _given_parameters(method).items():
            check_known(f"methods.{name}", key, [*sorted(METHOD_KEYS), *schema], "key")
            try:
                jsonschema.validate(value, schema[key])
            except jsonschema.ValidationError as error:
                raise InputError(f"config: methods.{name}.{key}: {error.message}") from error
    for name, dataset in config["datasets"].items():
        for method in dataset["methods"]:
            check_known(f"datasets.{name}.methods", method, config["methods"])
        try:
            check_groups(dataset.get("groups", ""))
        except InputError as error:
            raise InputError(f"config: datasets.{name}.groups: {error}") from error
        if dataset.get("studies") and "studies" not in config:
            raise InputError(
                f"config: datasets.{name}.studies: there are none to show; name some in `studies`, "
                "such as those of docs/studies.md"
            )
    used = sorted({name for method in config["methods"].values() for name in method["backbones"]})
    for name, backbone in config["backbones"].items():
        check_known("backbones", name, used, "backbone of a method")
        weights = backbone.get("weights")
        if weights is not None and not Path(weights).is_file():
            raise InputError(f"config: backbones.{name}.weights: {weights}: no such file")
    chosen = _chosen(config)
    known = {
        category for dataset in config["datasets"] for category in known_categories(config, dataset)
    }
    for category in chosen or ():
        check_known("categories", category, sorted(known))


def all_categories(config: Config, dataset: str) -> list[str]:
    """Every category a dataset has, in the table's order."""
    entry = config["datasets"][dataset]
    return entry.get("all_categories") or _present_categories(entry)


def chosen_categories(config: Config, dataset: str) -> list[str]:
    """Categories to run: those present, or those of them that the config names."""
    entry = config["datasets"][dataset]
    present = all_categories(config, dataset)
    if entry["source"] in LOCAL:
        found = _present_categories(entry)
        if not found and entry["source"] == "folder":
            raise InputError(f"dataset {dataset}: {no_categories(Path(entry['path']))}")
        present = [category for category in present if category in found]
    chosen = _chosen(config)
    selected = [category for category in present if chosen is None or category in chosen]
    if not selected:
        raise InputError(
            f"config: categories: dataset {dataset} has none of them; it has {', '.join(present)}"
        )
    return selected


def default_datasets(config: Config) -> list[str]:
    """Datasets whose files the config names; without any, the demo's. None is downloaded unasked.

    Raises
    ------
    InputError
        If the chosen categories are those of other datasets.
    """
    local = [name for name, entry in config["datasets"].items() if "path" in entry] or [DEMO]
    chosen = set(_chosen(config) or ())
    if not chosen:
        return local
    having = [name for name in config["datasets"] if chosen & {*known_categories(config, name)}]
    if not set(having) & set(local):
        raise InputError(
            f"config: categories: {', '.join(sorted(chosen))} is in the dataset {having[0]}, which "
            f"runs only when it is asked for: snakemake reports/{having[0]}_table.md"
        )
    return [name for name in local if name in having]


def cells(config: Config, dataset: str) -> list[Cell]:
    """Detectors on categories that make up a dataset's table."""
    check_known("datasets", dataset, config["datasets"], "dataset")
    for category in chosen_categories(config, dataset):
        _check_number_of_images(config, dataset, category)
    _check_groups_are_found(config, dataset)
    return [
        Cell(category, method, backbone)
        for category in chosen_categories(config, dataset)
        for method in config["datasets"][dataset]["methods"]
        for backbone in _backbones(config, dataset, method)
    ]


def taps(config: Config, dataset: str, backbone: str, preprocessing: str) -> list[tuple[str, int]]:
    """Layers and poolings that a dataset's methods read from a backbone, sorted."""
    methods = [config["methods"][name] for name in config["datasets"][dataset]["methods"]]
    return sorted(
        {
            (layer, method["pool"])
            for method in methods
            for layer in method_layers(method)
            if backbone in method["backbones"] and method["preprocessing"] == preprocessing
        }
    )


def method_layers(method: Mapping[str, Any]) -> list[str]:
    """Layers that a method reads, in its order."""
    return method["layers"] if "layers" in method else [method["layer"]]


def scorer_parameters(config: Config, method: str) -> dict[str, Any]:
    """Parameters of a method's scorer, with the seed that `separate_seeds` gave it."""
    return _given_parameters(config["methods"][method])


def separate_seeds(config: dict[str, Any]) -> None:
    """Give each method that draws random numbers its seed; of several seeds, one method each.

    Called once, after the checks. ``padim`` with the seeds 42 and 43 becomes ``padim@42`` and
    ``padim@43``, in `methods` and in the datasets' line-ups; `evaluation.cells` joins them again.
    """
    seeds = config.get("seeds") or [config["seed"]]
    names: dict[str, list[str]] = {}
    methods: dict[str, Any] = {}
    for name, method in config["methods"].items():
        if scorer_class(method["scorer"]).draws:
            made = {
                name if len(seeds) == 1 else f"{name}@{s}": {**method, "seed": s} for s in seeds
            }
        else:
            made = {name: method}
        methods |= made
        names[name] = list(made)
    config["methods"] = methods
    for dataset in config["datasets"].values():
        dataset["methods"] = [each for name in dataset["methods"] for each in names[name]]


def _given_parameters(method: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in method.items() if key not in METHOD_KEYS}


def localizing_cells(config: Config, dataset: str) -> list[Cell]:
    """Those of a dataset's detectors on categories that say where a defect is."""
    if config["datasets"][dataset]["source"] == "features":
        return []
    scorers = {name: scorer_class(method["scorer"]) for name, method in config["methods"].items()}
    return [cell for cell in cells(config, dataset) if scorers[cell.method].localizes]


def exportable_cells(config: Config, dataset: str) -> list[Cell]:
    """Those of a dataset's detectors on categories that can leave the workflow.

    Raises
    ------
    InputError
        If none can.
    """
    can = exportable_scorers()
    scorers = {name: method["scorer"] for name, method in config["methods"].items()}
    given = config["datasets"][dataset]["source"] == "features"
    found = [cell for cell in cells(config, dataset) if scorers[cell.method] in can and not given]
    if not found:
        reason = "features made elsewhere" if given else f"these can: {', '.join(can)}"
        raise InputError(f"none of the detectors of {dataset} can be exported; {reason}")
    return found


def _check_number_of_images(config: Config, dataset: str, category: str) -> None:
    """Refuse a local category too small for a scorer, also when a fold is held out."""
    entry, folds = config["datasets"][dataset], config["threshold"]["folds"]
    if entry["source"] != "folder":
        return
    folder = category_folder(entry, category)
    if "good" in entry:
        images = training_images(folder, entry)
    else:
        images = len(image_files(folder, "train"))
    if not images:
        return
    for name in entry["methods"]:
        method = config["methods"][name]
        untrimmed = images - int(images * method.get("trimmed", 0))
        left = untrimmed - ceil(untrimmed / folds)
        scorer = scorer_class(method["scorer"])(**scorer_parameters(config, name))
        if left < scorer.fewest_images:
            raise InputError(
                f"config: methods.{name} needs {scorer.fewest_images} training images; {dataset}/"
                f"{category} has {images}, of which {'trimming and ' * ('trimmed' in method)}"
                f"{folds} folds leave {left}"
            )


def _check_groups_are_found(config: Config, dataset: str) -> None:
    """Refuse groups that name no image of a local folder: every image would count as its own."""
    entry = config["datasets"][dataset]
    if entry["source"] != "folder" or not entry.get("groups"):
        return
    example = ""
    for category in chosen_categories(config, dataset):
        folder = category_folder(entry, category)
        if "good" in entry:
            paths = own_paths(folder, entry)
        else:
            files = [*image_files(folder, "train"), *image_files(folder, "test")]
            paths = [file.relative_to(folder).as_posix() for file in files]
        if any(group_names(paths, entry["groups"], category)):
            return
        example = example or next(iter(paths), "")
    raise InputError(
        f"config: datasets.{dataset}.groups: {entry['groups']!r} names the group of no image; "
        f"paths look like {example}"
    )


def _backbones(config: Config, dataset: str, method: str) -> list[str]:
    if config["datasets"][dataset]["source"] == "features":
        return [BACKBONE]
    return config["methods"][method]["backbones"]


def _present_categories(entry: Mapping[str, Any]) -> list[str]:
    """Categories that lie in a local folder."""
    if entry["source"] == "features":
        return list(feature_files(entry["path"]))
    if "good" in entry:
        return list(own_categories(entry))
    return folder_categories(entry["path"])


def category_folder(entry: Mapping[str, Any], category: str) -> Path:
    """Where the images of a category of a local folder are."""
    if "good" in entry:
        return own_categories(entry).get(category, Path(entry["path"], category))
    return Path(entry["path"], category)


def leave_out_default_aspect(config: Config) -> None:
    """Make a preprocessing that spells the default out the one that does not: the same images."""
    for preprocessing in config["preprocessings"].values():
        if preprocessing.get("aspect") == SQUASH:
            del preprocessing["aspect"]


def new_folders(config: Config, dataset: str) -> dict[str, Path]:
    """Folder of the unlabelled images of each chosen category that has one; see `new`.

    Raises
    ------
    InputError
        If the dataset names a folder that is not there, or that has none for any category.
    """
    entry, key = config["datasets"][dataset], f"config: datasets.{dataset}.new"
    if "new" not in entry:
        return {}
    new = Path(entry["new"])
    if not new.is_dir():
        raise InputError(f"{key}: {new}: no such folder")
    chosen = chosen_categories(config, dataset)
    found = {category: new / category for category in chosen if (new / category).is_dir()}
    if not found and len(all_categories(config, dataset)) == 1:
        return {chosen[0]: new}
    if not found:
        raise InputError(f"{key}: {new} has no folder named like a category: {', '.join(chosen)}")
    return found


def new_image_cells(config: Config, dataset: str) -> list[Cell]:
    """Detectors that score new images: all that can be exported, on categories that have some.

    Which of them is recommended is known only when all have run.

    Raises
    ------
    InputError
        If there are new images and no detector can be exported.
    """
    folders, key = new_folders(config, dataset), f"config: datasets.{dataset}.new"
    if not folders:
        return []
    if config["precision"] != "fp32":
        raise InputError(f"{key}: exported detectors compute in fp32, so set precision: fp32")
    try:
        return [cell for cell in exportable_cells(config, dataset) if cell.category in folders]
    except InputError as error:
        raise InputError(f"{key}: {error}") from None


def split_names(chosen: str | list[str]) -> str | list[str]:
    """Categories to run as a list, however the command line spells them; or ``all``."""
    if chosen == "all" or not isinstance(chosen, str):
        return chosen
    return [name.strip() for name in chosen.split(",")]


def _chosen(config: Config) -> list[str] | None:
    chosen = split_names(config["categories"])
    return None if chosen == "all" else chosen


def known_categories(config: Config, dataset: str) -> list[str]:
    """Categories a dataset may have; a folder that is not there (yet) has none."""
    entry = config["datasets"][dataset]
    if "all_categories" in entry or entry["source"] not in LOCAL or Path(entry["path"]).is_dir():
        return all_categories(config, dataset)
    return []


def _whole_image(config: Config, method: str) -> None:
    """Refuse a crop for maps, which are laid over the whole image."""
    preprocessing = config["methods"][method]["preprocessing"]
    if "crop" in config["preprocessings"][preprocessing]:
        raise InputError(
            f"config: methods.{method}.preprocessing: {preprocessing} crops, and a map must cover "
            "the whole image; choose one without crop"
        )


def check_known(path: str, value: str, allowed: Iterable[str], kind: str = "value") -> None:
    """Refuse a value that is not among those allowed, with the nearest of them."""
    if value not in allowed:
        raise InputError(f"config: {path}: {_unknown(kind, value, allowed)}")


def _unknown(kind: str, value: str, allowed: Iterable[str]) -> str:
    close = get_close_matches(str(value), allowed, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"unknown {kind} {value!r}; {hint}it can be {', '.join(allowed)}"
