"""What has to be extracted: backbones, the images they are given and the layers that are read."""

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Tap(NamedTuple):
    """A layer's own output; a feature map average-pooled with window and stride `pool`."""

    layer: str
    pool: int

    @property
    def name(self) -> str:
        """Name of its array in a group of a feature file."""
        return f"{self.layer}/pool{self.pool}"


class Pass(NamedTuple):
    """One backbone over all images of a category in one preprocessing.

    Attributes
    ----------
    preprocessing
        Its name in the config.
    settings
        Its entry of ``preprocessings``.
    backbone
        As in the config.
    weights
        File of its weights.
    taps
        What is read from it.
    """

    preprocessing: str
    settings: Mapping[str, Any]
    backbone: str
    weights: Path
    taps: tuple[Tap, ...]

    @property
    def name(self) -> str:
        """Name of its group in a feature file."""
        return f"{self.preprocessing}/{self.backbone}"

    def without(self, taps: Container[Tap]) -> "Pass":
        """The same pass, some taps apart."""
        return self._replace(taps=tuple(tap for tap in self.taps if tap not in taps))

    @property
    def side(self) -> int:
        """Side of its images in pixels."""
        return self.settings.get("crop", self.settings["size"])
