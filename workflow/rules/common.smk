"""What every rule file uses: the package, the checked config, the names of files."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir, "workflow", "scripts")))

from defectbench.config import (
    all_categories,
    cells,
    check_config,
    scorer_parameters,
    taps,
)
from defectbench.errors import InputError
from defectbench.provenance import code_digest
from defectbench.sources import folder_fingerprint

RESOURCES = Path(workflow.basedir, "workflow", "resources")
ALL_CORES = workflow.cores or 8  # a scheduler gives no total

try:
    check_config(config)
except InputError as error:
    raise WorkflowError(str(error)) from None


wildcard_constraints:
    dataset="[^/]+",
    category="[^/]+",
    method="[^/]+",
    backbone="[^/]+",
    preprocessing="[^/]+",
