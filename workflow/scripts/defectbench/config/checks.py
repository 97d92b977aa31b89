"""What the schema cannot see: names that refer to nothing, and local images too few to run on."""

from collections.abc import Sequence
from pathlib import Path

from defectbench.config import further_images, plan
from defectbench.config.plan import Config
from defectbench.config.preprocessings import check_preprocessing
from defectbench.config.schema import PlainNumbers, check_known
from defectbench.errors import InputError
from defectbench.evaluation.held_out import folds, number_of_folds
from defectbench.images.index import IndexRow, group_names
from defectbench.names import unfit_key
from defectbench.scorers import scorer_class, scorer_names
from defectbench.search.space import known_layers
from defectbench.sources import dataset_source
from defectbench.sources.fetching import unfit_address
from defectbench.storage import read_json

OF_EVERY_SOURCE = frozenset({"source", "methods", "studies", "studied", "chosen_by"})


def check_config(config: Config) -> None:
    """Refuse names that refer to nothing, and keys and parameters that do not belong together.

    Raises
    ------
    InputError
        Naming the key's path and the allowed values.
    """
    if "costs" in config and "defective_share" not in config:
        raise InputError(
            "config: costs: what mistakes cost depends on the share of defective parts; add it, "
            "such as defective_share: 0.01"
        )
    for key in ("datasets", "methods", "preprocessings"):
        for name in config[key]:
            if why := unfit_key(name):
                raise InputError(f"config: {key}.{name}: {why}")
    for name in config["datasets"]:
        if f"{name}_run" in config["datasets"]:
            raise InputError(
                f"config: datasets.{name}_run: the record of runs of {name} is called so; give "
                "it another name"
            )
    for name, preprocessing in config["preprocessings"].items():
        check_preprocessing(name, preprocessing)
    for name in config["methods"]:
        _check_method(config, name)
    for name in config["datasets"]:
        _check_dataset(config, name)
    used = sorted({name for method in config["methods"].values() for name in method["backbones"]})
    for name, backbone in config["backbones"].items():
        check_known("backbones", name, used, "backbone of a method")
        weights = backbone.get("weights")
        if weights is not None and not Path(weights).is_file():
            raise InputError(f"config: backbones.{name}.weights: {weights}: no such file")
    for name in config["search"]["backbones"]:
        check_known("search.backbones", name, known_layers(), "backbone of a search")
    if config["categories"] != "all":
        known = plan.every_category(config)
        for category in config["categories"]:
            check_known("categories", category, known)


def _check_method(config: Config, name: str) -> None:
    method = config["methods"][name]
    check_known(f"methods.{name}.scorer", method["scorer"], scorer_names())
    check_known(f"methods.{name}.preprocessing", method["preprocessing"], config["preprocessings"])
    scorer = scorer_class(method["scorer"])
    if scorer.localizes and "crop" in config["preprocessings"][method["preprocessing"]]:
        raise InputError(
            f"config: methods.{name}.preprocessing: {method['preprocessing']} crops, and a map "
            "must cover the whole image; choose one without crop"
        )
    for key, value in plan.scorer_parameters(config, name).items():
        known = [*sorted(plan.METHOD_KEYS), *scorer.parameter_schema]
        check_known(f"methods.{name}", key, known, "key")
        for error in PlainNumbers(scorer.parameter_schema[key]).iter_errors(value):
            raise InputError(f"config: methods.{name}.{key}: {error.message}")


def _check_dataset(config: Config, name: str) -> None:
    entry, path = config["datasets"][name], f"config: datasets.{name}"
    source = dataset_source(name, config)
    for key in sorted(source.required - entry.keys()):
        raise InputError(f"{path}: this source needs the key {key!r}; add it")
    for key in sorted(entry.keys() - OF_EVERY_SOURCE - source.required - source.optional):
        raise InputError(f"{path}.{key}: not a key of this source; leave it out")
    for holds, urls in entry.get("urls", {}).items():
        for url in urls:
            if why := unfit_address(url):
                raise InputError(f"{path}.urls.{holds}: {url!r}: {why}")
    if "chosen_by" in entry:
        _check_record(f"{path}.chosen_by", Path(entry["chosen_by"]))
    if not entry["methods"]:
        raise InputError(f"{path}: names no methods; name some, or default_methods")
    for method in entry["methods"]:
        check_known(f"datasets.{name}.methods", method, config["methods"])
    for method in entry.get("studied", ()):
        check_known(f"datasets.{name}.studied", method, config["methods"])
    try:
        group_names([], entry.get("groups", ""), "")
    except InputError as error:
        raise InputError(f"{path}.groups: {error}") from error
    if entry.get("studies") and "studies" not in config:
        raise InputError(
            f"{path}.studies: there are none to show; name some in `studies`, such as those of "
            "docs/studies.md"
        )


def _check_record(path: str, file: Path) -> None:
    """Refuse what is no record of a search, which a page shows at the end of all work."""
    try:
        is_record = file.is_file() and "finalists" in read_json(file)
    except (OSError, ValueError):
        is_record = False
    if not is_record:
        raise InputError(f"{path}: {file}: no record of a search; make best makes it")


def check_images(config: Config, dataset: str) -> None:
    """Refuse local images too few for a detector, groups and calibrations that name none of them.

    Of a dataset that is asked for: the folders of others need not be there.

    Raises
    ------
    InputError
        Naming the key and what there is.
    """
    check_known("datasets", dataset, config["datasets"], "dataset")
    source = dataset_source(dataset, config)
    images = {name: source.images(name) for name in plan.chosen_categories(config, dataset)}
    for category, found in images.items():
        further_images.calibration_folder(config, dataset, category)
        train = [path for split, path in found if split == "train"]
        if train:  # else not known before a run, or none: stage index says more about that
            groups = group_names(train, source.entry.get("groups", ""), category)
            check_number_of_images(config, dataset, category, groups)
    if "review" in source.entry and not any(
        further_images.reviewed_images(config, dataset, category) for category in images
    ):
        raise InputError(
            f"config: datasets.{dataset}.review: {source.entry['review']['csv']}: no reviewed "
            f"image of {', '.join(images)}"
        )
    groups = source.entry.get("groups", "")
    names = [
        name
        for category, found in images.items()
        for name in group_names([path for _, path in found], groups, category)
    ]
    if groups and names and not any(names):  # every image would count as its own group
        example = next(path for found in images.values() for _, path in found)
        raise InputError(
            f"config: datasets.{dataset}.groups: {groups!r} names the group of no image; "
            f"paths look like {example}"
        )


def check_number_of_images(
    config: Config, dataset: str, category: str, groups: Sequence[str]
) -> None:
    """Refuse a category too small for a scorer, also when a fold of its groups is held out.

    Parameters
    ----------
    groups
        Of its training images.

    Raises
    ------
    InputError
        Naming the method.
    """
    images = len(groups)
    for name in config["datasets"][dataset]["methods"]:
        method = config["methods"][name]
        trimmed = int(images * method.get("trimmed", 0))
        untrimmed = groups[: images - trimmed]  # which ones are trimmed is not known yet
        scorer = scorer_class(method["scorer"])(**plan.scorer_parameters(config, name))
        asked = number_of_folds(config["threshold"]["folds"], scorer, untrimmed)
        held_out = folds(untrimmed, asked, config["seed"])
        left = len(untrimmed) - max(map(len, held_out), default=0)
        fewest = scorer.fewest_images(len(plan.method_layers(method)))
        if left < fewest:
            raise InputError(
                f"config: methods.{name} needs {fewest} training images; {dataset}/{category} has "
                f"{images}, of which {'trimming and ' * bool(trimmed)}{len(held_out)} folds leave "
                f"{left}: add images, or let another detector judge them"
            )


def check_studies(config: Config, dataset: str, category: str, index: Sequence[IndexRow]) -> None:
    """Refuse studies of a category that has not both good and defective test images.

    Raises
    ------
    InputError
        Naming the key.
    """
    labels = {row.label for row in index if row.split == "test"}
    if config["datasets"][dataset].get("studies") and len(labels) < 2:
        raise InputError(
            f"config: datasets.{dataset}.studies: {category} has no "
            f"{'good' if 1 in labels else 'defective'} test image, and a study needs both kinds; "
            "add some, or leave out `studies`"
        )
