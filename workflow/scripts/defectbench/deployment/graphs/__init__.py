"""Scoring as a graph. Each public module does in PyTorch what the scorer of its name does in NumPy.

It holds one class with the scorer's name, a `torch.nn.Module` made from the scorer's arrays and
parameters, that the ONNX exporter reads.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from defectbench.errors import InputError

HELPERS = ("__init__", "modules")


def exportable_scorers() -> list[str]:
    """Names of the scorers that have a graph."""
    stems = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return sorted(stem for stem in stems if stem not in HELPERS)


def check_exportable(scorer: str) -> None:
    """Refuse a scorer that has no graph.

    Raises
    ------
    InputError
        Naming the scorers that have one.
    """
    if scorer not in exportable_scorers():
        raise InputError(
            f"scorer {scorer} cannot be exported as detector.onnx; these can: "
            f"{', '.join(exportable_scorers())}"
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
        without.

    Raises
    ------
    InputError
        If the scorer has no graph.
    """
    check_exportable(name)
    module = import_module(f"{__name__}.{name}")
    return getattr(module, "".join(part.title() for part in name.split("_")))(arrays, parameters)
