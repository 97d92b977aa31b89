"""Scoring as a graph: what a scorer does in NumPy, done in PyTorch by a module of its name.

The module is made from the scorer's arrays and parameters, and the ONNX exporter reads it.
A new one is a class in `modules` and its name in `GRAPHS`.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from defectbench.errors import InputError

GRAPHS = (
    "kernel_pca_fre",
    "mahalanobis",
    "nearest_neighbour",
    "padim",
    "patch_subspace",
    "patchcore",
    "pca_fre",
    "pca_gaussian",
    "pca_kde",
)
"""Scorers that have a graph."""


def check_exportable(scorer: str) -> None:
    """Refuse a scorer that has no graph.

    Raises
    ------
    InputError
        Naming the scorers that have one.
    """
    if scorer not in GRAPHS:
        raise InputError(
            f"scorer {scorer} cannot be exported as detector.onnx; these can: {', '.join(GRAPHS)}"
        )


def scorer_graph(name: str, arrays: Mapping[str, Any], parameters: Mapping[str, Any]) -> Any:
    """Graph of a fitted scorer.

    Parameters
    ----------
    name
        Of the scorer.
    arrays
        From its `to_arrays`.
    parameters
        Of its constructor.

    Returns
    -------
    torch.nn.Module
        Takes a list with the features of each layer, float32; gives the scores, float64,
        (n_images,), and the maps, float32, (n_images, height, width), or None for a scorer
        without. Of vectors of tiles, (n_images, tiles, n_dimensions), the largest score counts.

    Raises
    ------
    InputError
        If the scorer has no graph.
    """
    check_exportable(name)
    module = import_module(f"{__name__}.modules")  # imported late, for it needs PyTorch
    graph = getattr(module, "".join(part.title() for part in name.split("_")))(arrays, parameters)
    return module.OfTiles(graph)
