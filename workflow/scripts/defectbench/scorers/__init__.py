"""Anomaly scorers. Each public module is one scorer: ``pca_kde.py`` holds the class ``PcaKde``.

A scorer sees arrays alone: no path, no tensor, no config.
"""

from importlib import import_module
from pathlib import Path

from defectbench.scorers.base import Scorer

HELPERS = (
    "__init__",
    "base",
    "components",
    "coreset",
    "downdate",
    "grids",
    "kernels",
    "largest_tile",
    "layers",
    "leave_out",
    "linear_algebra",
    "linear_autoencoder",
    "matrices",
    "patch_memory",
    "patches",
    "randomised_pca",
    "rows_on_disk",
    "sizes",
)


def scorer_names() -> list[str]:
    """Names of all scorers, as a config spells them."""
    stems = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return sorted(stem for stem in stems if stem not in HELPERS)


def scorer_class(name: str) -> type[Scorer]:
    """Class of the scorer with this name, imported when asked for."""
    module = import_module(f"{__name__}.{name}")
    return getattr(module, "".join(part.title() for part in name.split("_")))
