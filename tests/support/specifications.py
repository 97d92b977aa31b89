"""Specifications of models that no feature file stands behind."""

from typing import Any

from defectbench.records import Specification


def specification(**settings: Any) -> Specification:
    """One that is complete, with some settings of its own."""
    usual = Specification(
        scorer="pca_fre",
        parameters={"variance": 0.97},
        layers=["X"],
        preprocessing={},
        bits=None,
        precision="fp32",
        storage="fp32",
        analysis="exact",
        device="CPU",
        weights_sha256="",
        groups="",
        folds=5,
        images_sha256="1a" * 8,
        dataset_sha256="d1" * 8,
        versions={},
        code={},
    )
    return usual | settings
