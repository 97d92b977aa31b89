"""Where the images, or the features, of a dataset come from: one class of `Source` per file.

A dataset's key ``source`` names the module of the class, as ``source: elpv`` names ``elpv.py`` with
the class ``Elpv``; two modules have a longer name. ``unpacking.py`` and ``fetching.py`` hold what
several sources share.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from defectbench.sources.base import Source

LONGER_NAMES = {"folder": "mvtec_folder", "features": "given_features"}


def source_module(entry: Mapping[str, Any]) -> str:
    """Name of the module that holds the source of a dataset's entry in the config."""
    if "good" in entry:
        return "own_folders"  # still `source: folder` to the user, who names folders in addition
    return LONGER_NAMES.get(entry["source"], entry["source"])


def dataset_source(dataset: str, config: Mapping[str, Any]) -> Source:
    """The source of a dataset; only its own module is imported."""
    name = source_module(config["datasets"][dataset])
    module = import_module(f"{__name__}.{name}")
    return getattr(module, "".join(part.title() for part in name.split("_")))(dataset, config)
