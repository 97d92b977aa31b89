"""Each graph computes what its scorer does."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from defectbench.deployment.graphs import GRAPHS, check_exportable, scorer_graph
from defectbench.errors import InputError
from defectbench.scorers import scorer_class, scorer_names

N_TRAIN, N_TEST = 30, 7
PARAMETERS = {
    "pca_kde": {"components": 4},
    "padim": {"channels": 5, "map_size": 16},
    "patchcore": {"map_size": 16},
}
NEED_MAPS = {"padim", "patchcore", "patch_subspace"}
READ_SEVERAL = {"padim", "patchcore", "patch_subspace", "pca_fre"}


def vectors(rng: np.random.Generator, n_images: int) -> list[np.ndarray]:
    values = rng.normal(size=(n_images, 20)) * np.linspace(5, 0.1, 20) + 3
    return [values.astype(np.float32)]


def maps_of(*shapes: tuple[int, int]) -> Callable:
    """What makes layers of so many channels and of such a side."""

    def features(rng: np.random.Generator, n_images: int) -> list[np.ndarray]:
        layers = []
        for channels, side in shapes:
            scales = np.linspace(3, 0.1, channels)[:, None, None]
            values = rng.normal(size=(n_images, channels, side, side)) * scales + 5
            layers.append(values.astype(np.float32))
        return layers

    return features


ONE_LAYER, TWO_LAYERS = maps_of((6, 4)), maps_of((5, 8), (7, 4))


def check(name: str, parameters: dict, features: Callable, factor: float = 1) -> None:
    """Hold a graph against its scorer, on test features that are some times as large."""
    rng = np.random.default_rng(42)
    train = features(rng, N_TRAIN)
    test = [(layer * factor).astype(np.float32) for layer in features(rng, N_TEST)]

    def alone(layers):
        return layers if len(layers) > 1 else layers[0]

    scorer = scorer_class(name)(**parameters).fit(alone(train))
    with torch.inference_mode():
        graph = scorer_graph(name, scorer.to_arrays(), parameters)
        scores, maps = graph([torch.from_numpy(layer) for layer in test])
    assert scores.dtype == torch.float64
    np.testing.assert_allclose(scores.numpy(), scorer.anomaly_score(alone(test)), rtol=1e-4)
    if maps is not None:
        expected = scorer.anomaly_map(alone(test))
        assert maps.dtype == torch.float32
        np.testing.assert_allclose(maps.numpy(), expected, rtol=0, atol=1e-4 * expected.max())
    assert (maps is None) == (test[0].ndim == 2 or not scorer.localizes)


@pytest.mark.parametrize("name", sorted(set(GRAPHS) - NEED_MAPS))
def test_graph_scores_vectors_as_the_scorer_does(name: str):
    check(name, PARAMETERS.get(name, {}), vectors)


@pytest.mark.parametrize("name", GRAPHS)
def test_graph_scores_maps_as_the_scorer_does(name: str):
    check(name, PARAMETERS.get(name, {}), ONE_LAYER)


@pytest.mark.parametrize("name", sorted(READ_SEVERAL))
def test_graph_combines_layers_as_the_scorer_does(name: str):
    check(name, PARAMETERS.get(name, {}), TWO_LAYERS)


@pytest.mark.parametrize("parameters", [{"image_score": "max"}, {"map_size": 12}])
def test_graph_of_fre_follows_its_parameters(parameters: dict):
    check("pca_fre", parameters, TWO_LAYERS)


@pytest.mark.parametrize("factor", [1e3, 2e3])
def test_scores_of_far_outliers_stay_apart(factor: float):
    check("pca_kde", {"components": 4}, vectors, factor)


def test_every_graph_is_a_scorers():
    assert set(GRAPHS) <= set(scorer_names())


def test_a_scorer_without_graph_is_refused_with_those_that_have_one():
    with pytest.raises(InputError, match=r"autoencoder cannot be exported .* pca_fre"):
        check_exportable("autoencoder")
