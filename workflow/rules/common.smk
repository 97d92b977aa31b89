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


def method_tap(wildcards):
    """Name of the array in that group."""
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
    path = FACTS / f"{wildcards.dataset}_published.csv"
    return str(path) if path.is_file() else []
