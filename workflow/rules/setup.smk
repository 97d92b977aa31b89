"""The package on the path, and the config checked."""

import sys
from pathlib import Path

from snakemake.utils import validate

sys.path.insert(0, str(Path(workflow.basedir, "workflow", "scripts")))

from defectbench.config import check_config, check_schema, separate_seeds, split_names
from defectbench.errors import InputError
from defectbench.features.layers import check_layers

SCHEMA = Path(workflow.basedir, "workflow", "schemas", "config.schema.yaml")

try:
    check_schema(config, SCHEMA)
    validate(config, str(SCHEMA))  # fills in the defaults
    check_config(config)
    check_layers(config, Path("resources/layers"))
except InputError as error:
    raise WorkflowError(str(error)) from None

config["categories"] = split_names(config["categories"])
separate_seeds(config)
