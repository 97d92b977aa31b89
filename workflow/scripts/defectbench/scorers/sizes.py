"""Memory that a scorer takes, and the refusal of features for which there is too little."""

from collections.abc import Sequence
from math import prod

from defectbench.memory import memory_limit, refuse_beyond_memory
from defectbench.scorers.base import Scorer
from defectbench.scorers.components import analysis_bytes, projection_bytes
from defectbench.scorers.layers import Features, layer_list
from defectbench.scorers.randomised_pca import least_bytes

REMEDY = "use fewer training images, a layer that is smaller or pooled, or another detector"


def refuse_too_large(scorer: Scorer, X: Features, remedy: str = REMEDY) -> None:
    """Refuse to fit what cannot be fitted; see `memory.refuse_beyond_memory`."""
    refuse_beyond_memory(scorer.fit_bytes([layer.shape for layer in layer_list(X)]), remedy)


def projected_bytes(shapes: Sequence[tuple[int, ...]], most: int | None = None) -> int:
    """Memory for `components_bytes` and for images' coordinates on the components, in bytes.

    Parameters
    ----------
    shapes
        Of the layers.
    most
        Components that are kept at most; None: all that there are.
    """
    sizes = [(shape[0], prod(shape[1:])) for shape in shapes]
    coordinates = [projection_bytes(*size, min(size) if most is None else most) for size in sizes]
    return components_bytes(shapes) + max(coordinates)


def components_bytes(shapes: Sequence[tuple[int, ...]]) -> int:
    """Memory for the principal components of each layer in turn, in bytes.

    Where it is beyond what there is, the randomised analysis takes over, with the least it needs.
    """
    sizes = [(shape[0], prod(shape[1:])) for shape in shapes]
    exact = sum(analysis_bytes(*size) for size in sizes)
    return exact if exact <= memory_limit() else sum(least_bytes(*size) for size in sizes)
