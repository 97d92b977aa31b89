"""Input functions and parameters of all stages, from the checked config."""

import re
from pathlib import Path

from defectbench.sources.archives import category_archive
from defectbench.config import (
    all_categories,
    category_folder,
    cells,
    default_datasets,
    exportable_cells,
    localizing_cells,
    method_layers,
    new_folders,
    new_image_cells,
    scorer_parameters,
    taps,
)
from defectbench.deployment.graphs import GRAPHS, check_exportable
from defectbench.errors import InputError
from defectbench.provenance import FACTS
from defectbench.sources.given_features import feature_files
from defectbench.sources.own_folders import KEYS
from defectbench.provenance import file_sha256, library_versions, stage_digest


def datasets_from(*sources):
    """Wildcard constraint: the datasets of these sources."""
    names = [name for name, entry in config["datasets"].items() if entry["source"] in sources]
    return "|".join(map(re.escape, names)) or "(?!)"


def default_reports(wildcards):
    """Table and page of every dataset that runs when none is named."""
    reports = ["reports/{dataset}_table.md", "reports/{dataset}.html"]
    return expand(reports, dataset=default_datasets(config))


def category_origin(wildcards):
    """What decides a category's images: where they come from, and the content of what is here."""
    entry = config["datasets"][wildcards.dataset]
    if entry["source"] == "elpv":
        return library_versions("elpv-dataset")
    if entry["source"] == "download":
        listed = FACTS / f"{wildcards.dataset}_sources.csv"
        return category_archive(wildcards.category, entry, listed).identity
    inner = wildcards.category if entry["source"] == "folder" else ""
    path = category_folder(entry, inner).resolve() if inner else Path(entry["path"]).resolve()
    origin = {"path": str(path), "content": CONTENTS.digest(path)}
    return origin | own_layout(entry) if "good" in entry else origin


def own_layout(entry):
    """What decides how a user's own folders are laid out as train and test."""
    groups = entry.get("groups", "")
    if not isinstance(groups, str):
        groups = file_sha256(Path(groups["csv"]))
    keys = {key: entry[key] for key in KEYS if key in entry}
    return keys | {"groups": groups, "seed": config["seed"]}


def dataset_groups(wildcards):
    """How images are grouped, as far as the index does not say so already."""
    entry = config["datasets"][wildcards.dataset]
    return "" if "good" in entry else entry.get("groups", "")


def category_weights(wildcards):
    """Weights of every backbone that a category's methods need, in order of the backbones' names."""
    return [
        # the local file that the config names, or the fetched one
        config["backbones"].get(backbone, {}).get("weights")
        or rules.weights.output.weights.format(backbone=backbone)
        for backbone in sorted({entry["backbone"] for entry in extraction_passes(wildcards)})
    ]


def extraction_passes(wildcards):
    """What a category's methods read: from which backbone, in which preprocessing, which layers."""
    methods = [config["methods"][name] for name in config["datasets"][wildcards.dataset]["methods"]]
    pairs = {(m["preprocessing"], backbone) for m in methods for backbone in m["backbones"]}
    return [
        {
            "preprocessing": preprocessing,
            "settings": config["preprocessings"][preprocessing],
            "backbone": backbone,
            "taps": [list(tap) for tap in taps(config, wildcards.dataset, backbone, preprocessing)],
        }
        for preprocessing, backbone in sorted(pairs)
    ]


def feature_file(wildcards):
    """The category's file of features made elsewhere."""
    files = feature_files(config["datasets"][wildcards.dataset]["path"])
    return files.get(wildcards.category, [])


def features_are_given(wildcards):
    return config["datasets"][wildcards.dataset]["source"] == "features"


def method_features(wildcards):
    """The category's feature file, or the given one."""
    made_by = rules.import_features if features_are_given(wildcards) else rules.features
    return made_by.output.features.format(**wildcards)


def method_group(wildcards):
    """Group of the feature file that holds what a method reads of a backbone."""
    if features_are_given(wildcards):
        return "/"
    return f"{config['methods'][wildcards.method]['preprocessing']}/{wildcards.backbone}"


def method_arrays(wildcards):
    """Names of the arrays in that group, one per layer."""
    if features_are_given(wildcards):
        return ["X"]
    method = config["methods"][wildcards.method]
    return [f"{layer}/pool{method['pool']}" for layer in method_layers(method)]


def groups_file(wildcards):
    """The CSV that names the dataset's groups."""
    groups = dataset_groups(wildcards)
    return [] if isinstance(groups, str) else groups["csv"]


def of_cells(rule, name, only=cells, **others):
    """Input function for an output of a rule, for all cells of a dataset's table, or some."""

    def files(wildcards):
        try:
            wanted = only(config, wildcards.dataset)
        except InputError as error:
            raise WorkflowError(str(error)) from None
        pattern = getattr(rules, rule).output[name]
        names = ({"dataset": wildcards.dataset, **cell._asdict(), **others} for cell in wanted)
        found = (pattern.format(**each) for each in names)
        return list(dict.fromkeys(found))  # some outputs are one per category

    return files


def dataset_categories(wildcards):
    """Parameter: all categories of a dataset, of which a report covers those that are chosen."""
    return all_categories(config, wildcards.dataset)


def dataset_images(wildcards):
    """Image folders of a dataset's categories; none where its features are given."""
    given = features_are_given(wildcards)
    return [] if given else of_cells("source", "category")(wildcards)


def image_counts(wildcards):
    """The official number of images of a dataset's categories, if there is one."""
    file = FACTS / f"{wildcards.dataset}_counts.csv"
    return str(file) if file.is_file() else []


def published_figures(wildcards):
    """Published figures with the settings, images and weights they were made of, if any."""
    names = ("published.csv", "published_settings.json", "counts.csv")
    files = [FACTS / f"{wildcards.dataset}_{name}" for name in names]
    return [*map(str, files), str(FACTS / "weights.csv")] if files[0].is_file() else []


def exportable_model(wildcards):
    """The model, or an error before any work if its scorer cannot be exported."""
    try:
        check_exportable(config["methods"][wildcards.method]["scorer"])
        if features_are_given(wildcards):
            raise InputError(
                f"dataset {wildcards.dataset}: its features were made elsewhere, so a detector "
                "could not compute those of new images"
            )
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return rules.scores.output.model.format(**wildcards)


def detector_weights(wildcards):
    """The local file that the config names, or the fetched one."""
    local = config["backbones"].get(wildcards.backbone, {}).get("weights")
    return local or rules.weights.output.weights.format(**wildcards)


def detector_digest(wildcards):
    """Digest of the export and of the graph of the method's scorer."""
    scorer = config["methods"][wildcards.method]["scorer"]
    return stage_digest("detector", f"deployment.graphs.{GRAPHS[scorer]}")


def new_images(wildcards):
    """Folder of a category's unlabelled images, and its content."""
    dataset, category = wildcards.dataset, wildcards.category
    try:
        folders = new_folders(config, dataset)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    if category not in folders:
        raise WorkflowError(f"dataset {dataset}: `new` names no images of {category}")
    path = folders[category].resolve()
    return {"path": str(path), "content": CONTENTS.digest(path)}
