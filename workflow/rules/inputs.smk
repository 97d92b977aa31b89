"""Input functions and parameters of all stages, from the checked config."""

import math
import re
from functools import cache

import yaml

from defectbench.config.checks import check_images
from defectbench.config.further_images import (
    calibration_folder,
    new_folders,
    new_image_cells,
    reviewed_images,
)
from defectbench.config.plan import (
    all_categories,
    cells,
    default_datasets,
    exportable_cells,
    gives_images,
    limits_of,
    localizing_cells,
    method_layers,
    preprocessings_of,
    scorer_parameters,
    settings_of,
    taps,
)
from defectbench.deployment.graphs import check_exportable
from defectbench.errors import InputError
from defectbench.provenance import FACTS, stage_digest
from defectbench.sources import dataset_source
from defectbench.sources.base import local_origin

PARTLY = ("datasets", "methods", "preprocessings")
"""Settings of which a dataset has a part."""


def datasets_that_give(kind):
    """Wildcard constraint: the datasets of `images`, or of `features`."""
    names = [name for name in config["datasets"] if dataset_source(name, config).gives == kind]
    return "|".join(map(re.escape, names)) or "(?!)"


def default_reports(wildcards):
    """Table and page of every dataset that runs when none is named."""
    reports = ["reports/{dataset}_table.md", "reports/{dataset}.html"]
    return expand(reports, dataset=default_datasets(config))


def category_origin(wildcards):
    """What decides a category's images: where they come from, and the content of what is here."""
    return dataset_source(wildcards.dataset, config).origin(wildcards.category, CONTENTS)


def calibration_images(wildcards):
    """Folder of a category's calibration images, and its content; None where there are none."""
    folder = calibration_folder(config, wildcards.dataset, wildcards.category)
    return folder and local_origin(folder, CONTENTS)


def reviewed_params(wildcards):
    """Place, file and content of a category's images that came back from the line."""
    found = reviewed_images(config, wildcards.dataset, wildcards.category)
    return [[image.place, str(image.file), image.sha256] for image in found]


def dataset_groups(wildcards):
    """How images are grouped, as far as the index does not say so already."""
    return dataset_source(wildcards.dataset, config).groups


def backbone_file(backbone):
    """Weights of a backbone: the local file that the config names, or the fetched one."""
    local = config["backbones"].get(backbone, {}).get("weights")
    return local or rules.weights.output.weights.format(backbone=backbone)


def category_weights(wildcards):
    """Weights of every backbone that a category's methods need, in order of the backbones' names."""
    backbones = {entry["backbone"] for entry in extraction_passes(wildcards)}
    return [backbone_file(backbone) for backbone in sorted(backbones)]


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


def dataset_preprocessings(wildcards):
    """Parameter: what a dataset's methods make of its images, by name."""
    return preprocessings_of(config, wildcards.dataset)


def feature_file(wildcards):
    """The category's file of features made elsewhere."""
    return dataset_source(wildcards.dataset, config).files().get(wildcards.category, [])


def features_are_given(wildcards):
    """Whether a dataset's features were made elsewhere; it then has no images."""
    return not gives_images(config, wildcards.dataset)


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


@cache
def check_once(dataset):
    """Check a dataset's images when it is first asked for: folders of others need not be there."""
    check_images(config, dataset)


def of_cells(rule, name, only=cells, **others):
    """Input function for an output of a rule, for all cells of a dataset's table, or some."""

    def files(wildcards):
        check_once(wildcards.dataset)
        wanted = only(config, wildcards.dataset)
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
    if wildcards.method not in config["methods"]:
        names = [name for name in config["methods"] if name.startswith(f"{wildcards.method}@")]
        raise InputError(
            f"{wildcards.method}: no such method; with several seeds each is a detector of its own: "
            f"{', '.join(names)}"
            if names
            else f"{wildcards.method}: no such method; there are {', '.join(config['methods'])}"
        )
    check_exportable(config["methods"][wildcards.method]["scorer"])
    if features_are_given(wildcards):
        raise InputError(
            f"dataset {wildcards.dataset}: its features were made elsewhere, so a detector could "
            "not compute those of new images"
        )
    return rules.scores.output.model.format(**wildcards)


def cells_of_category(wildcards):
    """A dataset's cells on one of its categories."""
    return [c for c in cells(config, wildcards.dataset) if c.category == wildcards.category]


def models_of_category(wildcards):
    """The fitted detectors of a category."""
    pattern = rules.scores.output.model
    return [
        pattern.format(dataset=wildcards.dataset, **cell._asdict())
        for cell in cells_of_category(wildcards)
    ]


def weights_of_cells(wildcards):
    """Weights of the backbone of each of a category's cells."""
    return [backbone_file(cell.backbone) for cell in cells_of_category(wildcards)]


def detectors_to_time(wildcards):
    """Parameter: what each of a category's cells reads of an image, and how it scores it."""
    found = {}
    for cell in cells_of_category(wildcards):
        method = config["methods"][cell.method]
        found["/".join(cell)] = {
            "scorer": method["scorer"],
            "parameters": scorer_parameters(config, cell.method),
            "entry": {
                "preprocessing": method["preprocessing"],
                "settings": config["preprocessings"][method["preprocessing"]],
                "backbone": cell.backbone,
                "taps": [[layer, method["pool"]] for layer in method_layers(method)],
            },
        }
    return found


def measured_speed(wildcards):
    """Input function: the times of a dataset's detectors; none where its features are given."""
    return [] if features_are_given(wildcards) else of_cells("speed", "speed")(wildcards)


def exportable_names(wildcards):
    """Parameter: category/method/backbone of each of a dataset's cells that can be exported."""
    try:
        return ["/".join(cell) for cell in exportable_cells(config, wildcards.dataset)]
    except InputError:  # none can
        return []


def page_settings(wildcards):
    """Parameter: settings that decide a dataset's page, as YAML, an entry a line."""
    found = settings_of(AS_GIVEN, config, wildcards.dataset)

    def in_a_line(value):
        text = yaml.safe_dump(value, default_flow_style=True, width=math.inf)
        return text.removesuffix("...\n").strip()

    lines = []
    for key, value in found.items():
        if key in PARTLY:
            entries = [f"  {name}: {in_a_line(entry)}" for name, entry in value.items()]
            lines += [f"{key}:", *entries]
        else:
            lines.append(f"{key}: {in_a_line(value)}")
    return "\n".join(lines)


@cache
def project_config():
    """The project's own config, with the defaults of its schema."""
    project = load_configfile(PROJECT_CONFIG)
    check_schema(project)
    check_config(project)
    return project


def page_command(wildcards):
    """Parameter: how Snakemake is called with those settings, which can be the project's own."""
    project = project_config()
    own = settings_of(AS_GIVEN, config, wildcards.dataset)
    if all(project.get(key) == value for key, value in own.items() if key not in PARTLY):
        if all(project[key].get(name) == each for key in PARTLY for name, each in own[key].items()):
            return "snakemake"
    return "snakemake --configfile my.yaml"


def detector_weights(wildcards):
    """Weights of the backbone that an exported detector holds."""
    return backbone_file(wildcards.backbone)


def new_images(wildcards):
    """Folder of a category's unlabelled images, and its content."""
    dataset, category = wildcards.dataset, wildcards.category
    folders = new_folders(config, dataset)
    if category not in folders:
        raise InputError(f"dataset {dataset}: `new` names no images of {category}")
    return local_origin(folders[category], CONTENTS)
