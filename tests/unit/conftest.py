"""A detector for the tests of whatever reads one."""

import pytest
from made_detectors import write_detector


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """A small exported detector, its file as ``path``, and all that went into it."""
    folder = tmp_path_factory.mktemp("detector")
    return write_detector(folder) | {"path": folder / "detector.onnx"}
