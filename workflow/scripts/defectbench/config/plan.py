"""From the checked settings to what has to be made: categories, detectors, layers, seeds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from defectbench.deployment.graphs import GRAPHS
from defectbench.errors import InputError
from defectbench.names import unfit_key
from defectbench.scorers import scorer_class
from defectbench.sources import dataset_source
from defectbench.sources.given_features import BACKBONE

DEMO = "elpv"
"""Dataset that runs when the settings name no files of the user's own."""

METHOD_KEYS = frozenset(
    {"scorer", "layer", "layers", "pool", "preprocessing", "backbones", "resolution", "trimmed"}
)
"""Keys of a method that are not parameters of its scorer."""

Config = Mapping[str, Any]


class Cell(NamedTuple):
    """One entry of a table: a detector on a category."""

    category: str
    method: str
    backbone: str


def all_categories(config: Config, dataset: str) -> list[str]:
    """Every category a dataset has, in the table's order."""
    listed = config["datasets"][dataset].get("all_categories")
    return listed or dataset_source(dataset, config).found()


def known_categories(config: Config, dataset: str) -> list[str]:
    """Categories a dataset may have; a folder that is not there (yet) has none."""
    entry = config["datasets"][dataset]
    if "all_categories" in entry or "path" not in entry or Path(entry["path"]).is_dir():
        return all_categories(config, dataset)
    return []


def every_category(config: Config) -> list[str]:
    """Categories that any dataset may have, sorted."""
    return sorted({name for each in config["datasets"] for name in known_categories(config, each)})


def chosen_categories(config: Config, dataset: str) -> list[str]:
    """Categories to run: those that are there, or those of them that the config names.

    Raises
    ------
    InputError
        If there are none, or one has a name that files of results cannot have.
    """
    source, chosen = dataset_source(dataset, config), config["categories"]
    found = source.found()
    if not found:
        raise InputError(f"dataset {dataset}: {source.nothing_found}")
    known = all_categories(config, dataset)
    present = [name for name in known if name in found]
    if not present:
        raise InputError(
            f"dataset {dataset}: has {', '.join(found)}, and not those of `all_categories`, "
            f"{', '.join(known)}: give the dataset a name of its own, or name its categories there"
        )
    selected = [name for name in present if chosen == "all" or name in chosen]
    if not selected:
        raise InputError(
            f"config: categories: dataset {dataset} has none of them; it has {', '.join(present)}"
        )
    for name in selected:
        if why := unfit_key(name):
            raise InputError(f"dataset {dataset}: category {name}: {why}")
    return selected


def default_datasets(config: Config) -> list[str]:
    """Datasets whose files the config names; without any, the demo's. None is downloaded unasked.

    Raises
    ------
    InputError
        If the chosen categories are those of other datasets.
    """
    local = [name for name, entry in config["datasets"].items() if "path" in entry] or [DEMO]
    if config["categories"] == "all":
        return local
    chosen = set(config["categories"])
    having = [name for name in config["datasets"] if chosen & {*known_categories(config, name)}]
    if not set(having) & set(local):
        raise InputError(
            f"config: categories: {', '.join(sorted(chosen))} is in the dataset {having[0]}, which "
            f"runs only when it is asked for: snakemake reports/{having[0]}_table.md"
        )
    return [name for name in local if name in having]


def cells(config: Config, dataset: str) -> list[Cell]:
    """Detectors on categories that make up a dataset's table."""
    given = not gives_images(config, dataset)
    return [
        Cell(category, method, backbone)
        for category in chosen_categories(config, dataset)
        for method in config["datasets"][dataset]["methods"]
        for backbone in ([BACKBONE] if given else config["methods"][method]["backbones"])
    ]


def studied_methods(config: Config, dataset: str) -> list[str]:
    """Methods of a dataset that its studies ask about: those of `studied`; without any, all."""
    entry = config["datasets"][dataset]
    studied = [name for name in entry["methods"] if name in entry.get("studied", ())]
    return studied or entry["methods"]


def studied_cells(config: Config, dataset: str) -> list[Cell]:
    """Those of a dataset's detectors on categories that its studies ask about."""
    studied = studied_methods(config, dataset)
    return [cell for cell in cells(config, dataset) if cell.method in studied]


def localizing_cells(config: Config, dataset: str) -> list[Cell]:
    """Those of a dataset's detectors on categories that say where a defect is."""
    if not gives_images(config, dataset):
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
    refused = f"none of the detectors of {dataset} can be exported"
    if not gives_images(config, dataset):
        raise InputError(f"{refused}; features made elsewhere")
    can = GRAPHS
    scorers = {name: method["scorer"] for name, method in config["methods"].items()}
    found = [cell for cell in cells(config, dataset) if scorers[cell.method] in can]
    if not found:
        raise InputError(f"{refused}; these can: {', '.join(can)}")
    return found


def gives_images(config: Config, dataset: str) -> bool:
    """Whether a dataset has images; else its features were made elsewhere."""
    return dataset_source(dataset, config).gives == "images"


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


def preprocessings_of(config: Config, dataset: str) -> dict[str, Any]:
    """Preprocessings that a dataset's methods use, by name."""
    methods = [config["methods"][name] for name in config["datasets"][dataset]["methods"]]
    names = sorted({method["preprocessing"] for method in methods})
    return {name: config["preprocessings"][name] for name in names}


def method_layers(method: Mapping[str, Any]) -> list[str]:
    """Layers that a method reads, in its order."""
    return method["layers"] if "layers" in method else [method["layer"]]


def scorer_parameters(config: Config, method: str) -> dict[str, Any]:
    """Parameters of a method's scorer, with the seed that `separate_seeds` gave it."""
    settings = config["methods"][method]
    return {key: value for key, value in settings.items() if key not in METHOD_KEYS}


def separate_seeds(config: dict[str, Any]) -> None:
    """Give each method that draws random numbers its seed; of several seeds, one method each.

    Called once, after the checks. ``padim`` with the seeds 42 and 43 becomes ``padim@42`` and
    ``padim@43``, in `methods` and in the datasets' line-ups; `evaluation.cells` joins them again.
    """
    seeds = config.get("seeds") or [config["seed"]]
    endings = {seed: f"@{seed}" if len(seeds) > 1 else "" for seed in seeds}
    made: dict[str, dict[str, Any]] = {}
    for name, method in config["methods"].items():
        made[name] = {name: method}
        if scorer_class(method["scorer"]).draws:
            made[name] = {name + end: method | {"seed": seed} for seed, end in endings.items()}
    config["methods"] = {new: method for each in made.values() for new, method in each.items()}
    for dataset in config["datasets"].values():
        for key in {"methods", "studied"} & dataset.keys():
            dataset[key] = [new for name in dataset[key] for new in made[name]]


def limits_of(config: Config) -> dict[str, float]:
    """What a detector may do and still be used: ``escapes`` and ``false_alarms``, rates at most.

    A threshold that keeps the rate asked for has an interval around it: hence twice that rate.
    """
    twice = min(2 * config["threshold"]["false_positive_rate"], 0.99)
    return {"false_alarms": twice} | config["limits"]


DECIDING = ("seed", "seeds", "precision", "storage", "threshold", "operating_points", "limits")
DECIDING += ("defective_share", "costs")
"""Settings that decide a dataset's report, beside its own and those of its methods."""


def settings_of(given: Config, config: Config, dataset: str) -> Config:
    """The part of a config that decides a dataset's report, in an order of its own.

    Parameters
    ----------
    given
        The config as the user gave it, merged over the project's.
    config
        The same, checked and with its seeds separated.
    dataset
        One of its datasets.
    """
    names = sorted({name.partition("@")[0] for name in config["datasets"][dataset]["methods"]})
    own = {
        "datasets": {dataset: given["datasets"][dataset]},
        "methods": {name: given["methods"][name] for name in names},
        "preprocessings": preprocessings_of(config, dataset),
    }
    return own | {key: given[key] for key in DECIDING if key in given}
