"""Features of one layer and of several are handled alike."""

import numpy as np
import pytest

from defectbench.errors import InputError
from defectbench.scorers.layers import (
    check_varied,
    image_blocks,
    map_list,
    number_of_images,
    take_images,
)
from defectbench.scorers.matrices import as_matrix
from defectbench.scorers.pca_fre import PcaFre
from defectbench.storage import read_arrays, write_arrays

RNG = np.random.default_rng(42)
VECTORS = RNG.normal(size=(12, 5))
FINE, COARSE = RNG.normal(size=(12, 3, 4, 4)), RNG.normal(size=(12, 6, 2, 2))


def test_images_are_counted_and_taken_from_every_layer():
    assert number_of_images(FINE) == number_of_images([FINE, COARSE]) == 12
    rows = np.array([3, 1])
    np.testing.assert_array_equal(take_images(FINE, rows), FINE[rows])
    taken = take_images([FINE, COARSE], rows)
    np.testing.assert_array_equal(taken[0], FINE[rows])
    np.testing.assert_array_equal(taken[1], COARSE[rows])


def test_one_layer_is_a_matrix_with_its_maps_flattened():
    np.testing.assert_array_equal(as_matrix(VECTORS), VECTORS)
    np.testing.assert_array_equal(as_matrix([COARSE]), COARSE.reshape(12, 24))
    with pytest.raises(InputError, match="reads one layer, 2 were given"):
        as_matrix([FINE, COARSE])


def test_vectors_are_not_maps():
    assert [layer.shape for layer in map_list([FINE, COARSE])] == [FINE.shape, COARSE.shape]
    with pytest.raises(InputError, match="no place"):
        map_list([FINE, VECTORS])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((3, 4, 5)), "shape"),
        (np.zeros((0, 4)), "shape"),
        ([FINE, COARSE[:7]], "12 and 7 images"),
        ([FINE, np.where(np.arange(12)[:, None] == 4, np.nan, VECTORS)], "image 4"),
    ],
)
def test_unusable_features_are_refused(bad: np.ndarray | list[np.ndarray], message: str):
    with pytest.raises(InputError, match=message):
        list(image_blocks(bad))


def test_one_varied_layer_is_variance_enough():
    check_varied([np.ones((12, 5)), VECTORS])
    with pytest.raises(InputError, match="equal"):
        check_varied([np.ones((12, 5)), np.zeros((12, 5))])


def test_a_model_of_several_layers_is_stored_and_restored(tmp_path):
    scorer = PcaFre(variance=0.5).fit([FINE, COARSE])
    write_arrays(tmp_path / "model.h5", scorer.to_arrays(), {})
    arrays, _ = read_arrays(tmp_path / "model.h5")
    assert set(arrays) == {"mean_0", "mean_1", "components_0", "components_1", "layer_means"}
    restored = PcaFre(variance=0.5).from_arrays(arrays)
    expected = scorer.anomaly_map([FINE, COARSE])
    np.testing.assert_array_equal(restored.anomaly_map([FINE, COARSE]), expected)
