"""Memory that a scorer takes, and the refusal of features for which there is too little."""

from collections.abc import Sequence
from math import prod

from defectbench.memory import refuse_beyond_memory
from defectbench.scorers.base import BLOCK_BYTES, Features, Scorer, layer_list


def reading_bytes(shapes: Sequence[tuple[int, ...]]) -> int:
    """Memory for features on their way through a scorer, in bytes.

    Small ones are in memory whole, those of a fold and of the test images once more; of large ones
    there are some blocks, as read and in float64.
    """
    return 6 * min(BLOCK_BYTES, 4 * sum(map(prod, shapes)))


def refuse_too_large(scorer: Scorer, X: Features, remedy: str) -> None:
    """Refuse to fit what cannot be fitted; see `memory.refuse_beyond_memory`."""
    refuse_beyond_memory(scorer.fit_bytes([layer.shape for layer in layer_list(X)]), remedy)
