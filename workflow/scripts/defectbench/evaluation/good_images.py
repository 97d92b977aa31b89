"""The good images that set thresholds: calibration images, or else training images held out."""

from pathlib import Path
from typing import NamedTuple

from defectbench.evaluation.promises import CALIBRATION, Asked
from defectbench.records import HeldOutScores, read_held_out


class GoodImages(NamedTuple):
    """Scores of good images by detectors that were fitted without them.

    Attributes
    ----------
    held_out
        Of training images, each by a detector without it.
    calibration
        Of images that train nothing, by the detector itself; empty for none.
    """

    held_out: HeldOutScores
    calibration: HeldOutScores

    @property
    def calibrated(self) -> bool:
        """Whether calibration images set the thresholds."""
        return len(self.calibration.scores) > 0

    @property
    def setting(self) -> HeldOutScores:
        """Those that set the thresholds."""
        return self.calibration if self.calibrated else self.held_out

    @property
    def maps(self) -> str:
        """Name of their maps in ``maps.h5``."""
        return "calibration" if self.calibrated else "held_out"

    def asked(self, of_held_out: Asked) -> Asked:
        """What thresholds are to keep, from what those of held-out images would be."""
        return of_held_out._replace(folds=CALIBRATION) if self.calibrated else of_held_out


def read_good_images(held_out: str | Path, calibration: str | Path) -> GoodImages:
    """Scores of ``held_out_scores.tsv`` and ``calibration_scores.tsv``."""
    return GoodImages(read_held_out(held_out), read_held_out(calibration))
