"""What does not fit in memory is refused in one line, before any feature is read."""

import numpy as np
import pytest

from defectbench import memory
from defectbench.errors import InputError
from defectbench.scorers import scorer_class, scorer_names, sizes
from defectbench.scorers.layers import reading_bytes

SHAPES = [
    (300, 512),
    (1_000, 16_384),
    (20_000, 512),
    (200, 112, 32, 32),
    (5_000, 112, 32, 32),
]
UNBOUNDED = ("autoencoder", "kernel_pca_fre", "tied_autoencoder")
"""Scorers whose need is as large as their features, or all pairs of images."""

OF_MAPS = ("padim", "patch_subspace", "patchcore")
MANY_MAPS = (100_000, 112, 32, 32)


class Unread:
    """A layer of which nothing may be read."""

    dtype = np.dtype(np.float32)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.ndim = shape, len(shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        raise AssertionError("features were read")


@pytest.fixture
def gigabyte(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process can have 1 GB."""
    for module in (memory, sizes):
        monkeypatch.setattr(module, "memory_limit", lambda: 1_000_000_000)


@pytest.mark.usefixtures("gigabyte")
@pytest.mark.parametrize("name", scorer_names())
def test_a_refusal_comes_first_and_says_what_is_needed_and_what_to_change(name: str):
    scorer = scorer_class(name)()
    with pytest.raises(InputError) as refusal:
        scorer.fit(Unread(MANY_MAPS))
    needed = scorer.fit_bytes([MANY_MAPS]) / 1e9
    line = str(refusal.value)
    assert line.startswith(f"{needed:.1f} GB of memory are needed, 1.0 GB can be had: ")
    assert "fewer" in line
    assert "\n" not in line


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", scorer_names())
def test_memory_covers_the_blocks_that_are_read_and_grows_with_the_images(
    name: str, shape: tuple[int, ...]
):
    scorer = scorer_class(name)()
    if len(shape) == 2 and name in OF_MAPS:
        pytest.skip("reads maps")
    needed = scorer.fit_bytes([shape])
    assert needed >= reading_bytes([shape])
    assert needed <= scorer.fit_bytes([(2 * shape[0], *shape[1:])])


@pytest.mark.parametrize("name", [name for name in scorer_names() if name not in UNBOUNDED])
@pytest.mark.parametrize(
    ("shape", "most"), [(SHAPES[1], 1.5e9), (SHAPES[2], 4e9), (SHAPES[4], 4e9)], ids=str
)
def test_large_categories_need_little(name: str, shape: tuple[int, ...], most: float):
    if len(shape) == 2 and name in OF_MAPS:
        pytest.skip("reads maps")
    parameters = {"coreset": 0.01} if name == "patchcore" else {}
    assert scorer_class(name)(**parameters).fit_bytes([shape]) < most
