"""A detector and a small network, for the tests of whatever reads one."""

from pathlib import Path

import pytest
from made_detectors import write_detector


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a tiny timm network, random and seeded."""
    import timm
    import torch

    torch.manual_seed(42)
    path = tmp_path_factory.mktemp("weights") / "test_resnet.pth"
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    return path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """A small exported detector, its file as ``path``, and all that went into it."""
    folder = tmp_path_factory.mktemp("detector")
    return write_detector(folder) | {"path": folder / "detector.onnx"}
