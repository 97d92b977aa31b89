"""Names of backbones and of their layers, checked without PyTorch.

PyTorch takes seconds to import, and settings are checked at every start. So the layers of the
project's backbones stand in ``workflow/facts/backbone_layers.json``, timm's models are found by
reading its source, and a timm model is built once to list its layers, which are kept.
"""

import importlib.metadata
import importlib.util
import re
from functools import cache
from pathlib import Path

from defectbench.config.plan import Config, gives_images, method_layers
from defectbench.config.schema import allowed_names, check_known
from defectbench.errors import InputError
from defectbench.provenance import FACTS
from defectbench.storage import read_json, write_json


def check_layers(config: Config, kept: Path) -> None:
    """Refuse backbones and layers that do not exist, of all methods that a dataset runs.

    Parameters
    ----------
    config
        Settings that passed all other checks.
    kept
        Folder where the layers of timm's models are kept.

    Raises
    ------
    InputError
        Naming the key's path and the nearest names.
    """
    used = {
        method
        for name, dataset in config["datasets"].items()
        if gives_images(config, name)
        for method in dataset["methods"]
    }
    for name in sorted(used):
        method = config["methods"][name]
        for backbone in method["backbones"]:
            layers = backbone_layers(backbone, f"methods.{name}.backbones", kept)
            for layer in method_layers(method) if layers else ():
                if layer not in layers:
                    key = "layers" if "layers" in method else "layer"
                    raise InputError(
                        f"config: methods.{name}.{key}: {backbone} has no layer {layer!r}; "
                        f"{allowed_names(layer, layers)}"
                    )


@cache
def backbone_layers(backbone: str, key: str, kept: Path) -> list[str]:
    """Layers of a backbone, in the order of the network; empty if timm is not installed.

    Raises
    ------
    InputError
        If neither this project nor timm knows the backbone; the message names `key`.
    """
    known = read_json(FACTS / "backbone_layers.json")
    if backbone in known:
        return list(known[backbone])
    models = timm_models()
    if not models:
        return []  # the environment of the extraction has timm, and stage features checks again
    check_known(key, backbone.split(".")[0], [*known, *models], "backbone")
    file = kept / f"{backbone}_timm{importlib.metadata.version('timm')}.json"
    if not file.is_file():
        from defectbench.features.backbones import timm_model  # imports PyTorch

        write_json(file, [name for name, _ in timm_model(backbone).named_modules() if name])
    return read_json(file)


@cache
def timm_models() -> list[str]:
    """Names of timm's models, read from its source; no names where timm is not installed."""
    spec = importlib.util.find_spec("timm")
    if spec is None or spec.origin is None:
        return []
    sources = sorted((Path(spec.origin).parent / "models").glob("*.py"))
    entry = re.compile(r"^@register_model\s+def (\w+)\(", re.MULTILINE)
    return [name for source in sources for name in entry.findall(source.read_text("utf-8"))]
