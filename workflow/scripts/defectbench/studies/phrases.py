"""Figures and points of studies in words, as all answers have them."""

from collections.abc import Mapping

from defectbench.studies.perturbed_features import unit
from defectbench.studies.results import Level

PHRASES = {
    "image_auroc": ("AUROC", ".3f"),
    "false_positive_rate": ("false alarms", ".1%"),
    "recall": ("the share found", ".0%"),
}
"""What a figure is called in an answer, and with how many digits it stands there."""

TOO_FEW = "too few images to tell"

Names = Mapping[str, str]


def shown(level: Level, figure: str) -> str:
    """A figure with its interval: "0.900 (0.850–0.940)"."""
    digits = PHRASES[figure][1]
    low, high = level["intervals"][figure]
    return f"{level[figure]:{digits}} ({low:{digits}}–{high:{digits}})"


def changes(before: Level, after: Level, *figures: str) -> str:
    """What becomes of figures: "AUROC goes from 0.900 (…) to 0.800 (…), false alarms from …"."""
    parts = []
    for figure in figures:
        goes = "" if parts else " goes"
        name = PHRASES[figure][0]
        parts.append(f"{name}{goes} from {shown(before, figure)} to {shown(after, figure)}")
    return ", ".join(parts)


def severity(level: Level) -> str:
    """How far images are changed, with its unit."""
    return f"{level['level']:g} {unit(level['perturbation']).split(',')[0]}"


def photographs(level: Level) -> str:
    """A number of training images; of images in groups, how many of them."""
    images, groups = level["images"], level["groups"]
    return f"{images:.0f}" + ("" if groups == images else f" (in {in_words(groups)})")


def in_words(groups: float) -> str:
    """A number of groups; a mean may be a fraction."""
    return "1 group" if groups == 1 else f"{groups:.3g} groups"
