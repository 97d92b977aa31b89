"""Input functions and parameters of all stages, from the checked config."""

import re
from pathlib import Path

from defectbench.acquisition.archives import category_archive
from defectbench.acquisition.fingerprints import content_fingerprint
from defectbench.config import all_categories, cells, scorer_parameters, taps
from defectbench.errors import InputError
from defectbench.facts import FACTS
from defectbench.features.given import feature_files
from defectbench.provenance import library_versions


def datasets_from(*sources):
    """Wildcard constraint: the datasets of these sources."""
    names = [name for name, entry in config["datasets"].items() if entry["source"] in sources]
    return "|".join(map(re.escape, names)) or "(?!)"


def category_origin(wildcards):
    """What decides a category's images: where they come from, and the content of what is here."""
    entry = config["datasets"][wildcards.dataset]
    if entry["source"] == "elpv":
        return library_versions("elpv-dataset")
    if entry["source"] == "download":
        listed = FACTS / f"{wildcards.dataset}_sources.csv"
        return category_archive(wildcards.category, entry, listed).identity
    inner = wildcards.category if entry["source"] == "folder" else ""
    path = Path(entry["path"], inner).resolve()
    memory = Path("resources", "fingerprints", wildcards.dataset, f"{inner or 'archive'}.json")
    return {"path": str(path), "content": content_fingerprint(path, memory)}


def backbone_weights(wildcards):
    """The local file that the config names, or the fetched one."""
    local = config["backbones"].get(wildcards.backbone, {}).get("weights")
    return local or rules.weights.output.weights.format(**wildcards)


def feature_taps(wildcards):
    return taps(config, wildcards.dataset, wildcards.backbone, wildcards.preprocessing)


def feature_file(wildcards):
    """The category's file of features made elsewhere."""
    files = feature_files(config["datasets"][wildcards.dataset]["path"])
    return files.get(wildcards.category, [])


def features_are_given(wildcards):
    return config["datasets"][wildcards.dataset]["source"] == "features"


def method_features(wildcards):
    """Feature file of a method's preprocessing and backbone, or the given one."""
    if features_are_given(wildcards):
        return rules.import_features.output.features.format(**wildcards)
    preprocessing = config["methods"][wildcards.method]["preprocessing"]
    return rules.features.output.features.format(preprocessing=preprocessing, **wildcards)


def method_tap(wildcards):
    """Name of the array in the feature file."""
    if features_are_given(wildcards):
        return "X"
    method = config["methods"][wildcards.method]
    return f"{method['layer']}/pool{method['pool']}"


def of_every_cell(pattern):
    """Input function for one file of every cell of a dataset's table."""

    def files(wildcards):
        try:
            wanted = cells(config, wildcards.dataset)
        except InputError as error:
            raise WorkflowError(str(error)) from None
        return [pattern.format(dataset=wildcards.dataset, **cell._asdict()) for cell in wanted]

    return files


def dataset_metrics(name):
    return of_every_cell(rules.metrics.output[name])


def dataset_scores(name):
    return of_every_cell(rules.scores.output[name])


def dataset_images(wildcards):
    """Image folders of a dataset's categories; none where its features are given."""
    if features_are_given(wildcards):
        return []
    folders = of_every_cell(rules.source.output.category)(wildcards)
    return list(dict.fromkeys(folders))


def published_figures(wildcards):
    path = FACTS / f"{wildcards.dataset}_published.csv"
    return str(path) if path.is_file() else []
