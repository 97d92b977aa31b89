"""A detector of a few thousand weights, exported in seconds."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import torch

SIDE, N_TRAIN = 24, 40
SETTINGS = {"preprocessing": {"interpolation": "lanczos", "size": SIDE}, "bits": None}


def new_image(rng: np.random.Generator, defective: bool = False) -> np.ndarray:
    """A part under changing light: uint8, (32, 40, 3)."""
    rows = np.sin(np.arange(40) / 3 + rng.uniform(0, 1))[None, :, None]
    pixels = 100 + 40 * rows + rng.normal(0, 4, (32, 40, 3))
    if defective:
        pixels[8:20, 10:25] = 250
    return pixels.clip(0, 255).astype(np.uint8)


def write_images(folder: Path, seed: int, n_good: int, n_defective: int = 0) -> list[Path]:
    """Images named by number, the defective ones last."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04}.png" for number in range(n_good + n_defective)]
    for number, path in enumerate(paths):
        Image.fromarray(new_image(rng, number >= n_good)).save(path)
    return paths


def small_network() -> "torch.nn.Module":
    """Two convolutions, the second of which, ``3``, gives features, and what is not needed."""
    import torch

    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2, padding=1),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(inplace=True),
        torch.nn.Conv2d(8, 12, 3, stride=2, padding=1),
        torch.nn.Flatten(),
        torch.nn.Linear(12 * 6 * 6, 5),
    )


def write_detector(
    folder: Path,
    make: Callable[[], "torch.nn.Module"] = small_network,
    layer: str = "3",
    scorer: str = "pca_fre",
    parameters: Mapping[str, Any] | None = None,
) -> dict:
    """Fit a scorer on a layer of a seeded network and export it to ``detector.onnx``.

    Returns
    -------
    dict
        What went into it.
    """
    import torch

    from defectbench.deployment import export
    from defectbench.deployment.card import Benchmarked, detector_metadata
    from defectbench.deployment.graphs import scorer_graph
    from defectbench.evaluation.good_images import GoodImages
    from defectbench.evaluation.promises import Asked, promise
    from defectbench.features.backbones import Backbone
    from defectbench.features.taps import Tap, TappedNetwork
    from defectbench.images.network_image import decoded_images
    from defectbench.records import HeldOutScores, Scores
    from defectbench.scorers import scorer_class

    torch.manual_seed(42)
    network = make().eval()
    backbone = Backbone(network, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    tap = Tap(layer, 1)
    files = write_images(folder / "train", 1, N_TRAIN) + write_images(folder / "held_out", 2, 40)
    pixels = np.stack([image.pixels for image in decoded_images(files, SETTINGS, 1)])
    with torch.inference_mode():
        normalised = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
        features = TappedNetwork(network, [tap])(normalised)[tap].numpy()
    parameters = parameters or {}
    fitted = scorer_class(scorer)(**parameters).fit(features[:N_TRAIN])
    good = fitted.anomaly_score(features[N_TRAIN:])
    has_maps = fitted.localizes and features.ndim == 4
    maps = fitted.anomaly_map(features[N_TRAIN:]) if has_maps else None
    paths = [path.relative_to(folder).as_posix() for path in files]
    none = np.full(40, "")
    threshold = float(np.sort(good)[-3:-1].mean())  # between two scores: no rounding flips one
    promised = promise(good, none, Asked(0.05)) | {"threshold": threshold}
    cell = Benchmarked(
        dict(zip(paths, files, strict=True)),
        {"scorer": scorer, "parameters": parameters, "layers": [tap.name], **SETTINGS},
        {
            "dataset": "parts",
            "category": "plate",
            "method": "fre_tiny",
            "backbone": "tiny",
            "thresholds": {"honest": threshold},
            "promise": promised,
        },
        Scores(paths[N_TRAIN:], np.zeros(40, int), none, none, good),
        GoodImages(
            HeldOutScores(paths[:N_TRAIN], none, np.arange(40), good),
            HeldOutScores([], none[:0], np.arange(0), good[:0]),
        ),
        {} if maps is None else {"held_out": maps},
    )
    graph = scorer_graph(scorer, fitted.to_arrays(), parameters)
    module = export.DetectorModule(backbone, [tap], SETTINGS["preprocessing"], graph, threshold)
    model = export.onnx_model(module)
    metadata = detector_metadata(cell, 1)
    metadata |= {"proof": {}, "provenance": {}, "licences": {}}
    (folder / "detector.onnx").write_bytes(export.detector_bytes(model, metadata))
    return {
        "module": module,
        "model": model,
        "metadata": metadata,
        "pixels": pixels[N_TRAIN:],
        "scores": good,
        "maps": maps,
        "files": files[N_TRAIN:],
    }
