"""Input functions of all stages, the checked config, and the package on the path."""

import re
import sys
from pathlib import Path

from snakemake.utils import validate

sys.path.insert(0, str(Path(workflow.basedir, "workflow", "scripts")))

from defectbench.config import (
    all_categories,
    cells,
    check_config,
    check_schema,
    scorer_parameters,
    taps,
)
from defectbench.errors import InputError
from defectbench.features.given import feature_files
from defectbench.features.layers import check_layers
from defectbench.provenance import code_digest
from defectbench.facts import FACTS
from defectbench.acquisition.sources import folder_fingerprint

SCHEMA = Path(workflow.basedir, "workflow", "schemas", "config.schema.yaml")

try:
    check_schema(config, SCHEMA)
    validate(config, str(SCHEMA))  # fills in the defaults
    check_config(config)
    check_layers(config, Path("resources/layers"))
except InputError as error:
    raise WorkflowError(str(error)) from None


def datasets_from(*sources):
    """Wildcard constraint: the datasets of these sources."""
    names = [name for name, entry in config["datasets"].items() if entry["source"] in sources]
    return "|".join(map(re.escape, names)) or "(?!)"


# a GPU is not asked for where the config forbids its use
gpus_per_extraction = 0 if config["device"] == "cpu" else 1


def grows(base, per_mb=0, of=""):
    """MB or minutes that a job asks for: more for a larger input file, and on each further try."""

    def request(wildcards, input, attempt):
        megabytes = Path(input[of]).stat().st_size / 1e6 if of else 0
        return round(attempt * (base + per_mb * megabytes))

    return request


def category_source(wildcards):
    """The dataset's source; of an archive, the folder it is unpacked to."""
    entry = config["datasets"][wildcards.dataset]
    if entry["source"] == "archive":
        return {"source": "folder", "path": rules.unpack_archive.output.dataset.format(**wildcards)}
    return {key: entry[key] for key in ("source", "path", "urls") if key in entry}


def dataset_archive(wildcards):
    """The local archive that the config names, or the downloaded one."""
    local = config["datasets"][wildcards.dataset].get("path")
    return local or rules.fetch_archive.output.archive.format(**wildcards)


def category_archive(wildcards):
    is_archive = config["datasets"][wildcards.dataset]["source"] == "archive"
    return rules.unpack_archive.output.dataset.format(**wildcards) if is_archive else []


def category_fingerprint(wildcards):
    """Changes when images are added to a local folder, removed or changed."""
    entry = config["datasets"][wildcards.dataset]
    if entry["source"] == "folder":
        return folder_fingerprint(Path(entry["path"], wildcards.category))
    return ""


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


def scorer_digest(wildcards):
    return code_digest(f"scorers.{config['methods'][wildcards.method]['scorer']}")


def dataset_metrics(name):
    """Input function for one output of the rule metrics, for every cell of a dataset's table."""

    def files(wildcards):
        try:
            wanted = cells(config, wildcards.dataset)
        except InputError as error:
            raise WorkflowError(str(error)) from None
        pattern = rules.metrics.output[name]
        return [pattern.format(dataset=wildcards.dataset, **cell._asdict()) for cell in wanted]

    return files


def published_figures(wildcards):
    """Published figures with the settings, images and weights they were made of, if any."""
    names = ("published.csv", "published_settings.json", "counts.csv")
    files = [FACTS / f"{wildcards.dataset}_{name}" for name in names]
    return [*map(str, files), str(FACTS / "weights.csv")] if files[0].is_file() else []
