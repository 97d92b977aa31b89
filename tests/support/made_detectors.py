"""A detector of a few thousand weights, exported in seconds."""

from pathlib import Path

import numpy as np
from PIL import Image

SIDE, N_TRAIN = 24, 40
PREPROCESSING = {"interpolation": "lanczos", "size": SIDE}


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


def write_detector(folder: Path) -> dict:
    """Fit FRE on a small seeded network and export it to ``detector.onnx``; what went into it."""
    import torch

    from defectbench.deployment.detector import decoded_images, encode_probe
    from defectbench.deployment.detector_file import FORMAT
    from defectbench.deployment.drift import image_statistics, training_ranges
    from defectbench.deployment.export import (
        DetectorModule,
        detector_bytes,
        graph_sha256,
        onnx_model,
        threshold_table,
    )
    from defectbench.deployment.graphs import scorer_graph
    from defectbench.deployment.proof import score_tolerance
    from defectbench.features.backbones import Backbone
    from defectbench.features.taps import Tap, TappedNetwork
    from defectbench.scorers.pca_fre import PcaFre

    torch.manual_seed(42)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2, padding=1),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(inplace=True),
        torch.nn.Conv2d(8, 12, 3, stride=2, padding=1),
        torch.nn.Flatten(),
        torch.nn.Linear(12 * 6 * 6, 5),
    ).eval()
    backbone = Backbone(network, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    tap = Tap("3", 1)
    files = write_images(folder / "train", 1, N_TRAIN) + write_images(folder / "held_out", 2, 40)
    images = list(decoded_images(files, PREPROCESSING, 1))
    pixels = np.stack([image.pixels for image in images])
    with torch.inference_mode():
        normalised = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
        features = TappedNetwork(network, [tap])(normalised)[tap].numpy()
    scorer = PcaFre().fit(features[:N_TRAIN])
    held_out = scorer.anomaly_score(features[N_TRAIN:])
    table = threshold_table(held_out, 0.05)
    (threshold,) = (row["threshold"] for row in table if row["false_positive_rate"] == 0.05)
    graph = scorer_graph("pca_fre", scorer.to_arrays(), {})
    model = onnx_model(DetectorModule(backbone, [tap], SIDE, graph, threshold), SIDE)
    maps = scorer.anomaly_map(features[N_TRAIN:])
    metadata = {
        "format": FORMAT,
        "dataset": "parts",
        "category": "plate",
        "method": "fre_tiny",
        "backbone": "tiny",
        "preprocessing": PREPROCESSING,
        "side": SIDE,
        "scorer": "pca_fre",
        "parameters": {},
        "layers": [tap.name],
        "graph_sha256": graph_sha256(model),
        "units": {},
        "threshold": {"value": threshold, "false_positive_rate": 0.05},
        "thresholds": table,
        "held_out_scores": sorted(held_out.tolist()),
        "training_images": training_ranges(
            [image_statistics(image.pixels, image.size) for image in images[:N_TRAIN]]
        ),
        "probe": {"png": encode_probe(pixels[N_TRAIN]), "score": float(held_out[0])},
        "tolerance": score_tolerance(held_out),
        "bits": None,
        "map_scale": {"typical": float(np.median(maps)), "threshold": float(maps.max() / 2)},
        "proof": {},
        "provenance": {},
        "licences": {},
    }
    (folder / "detector.onnx").write_bytes(detector_bytes(model, metadata))
    return {
        "module": DetectorModule(backbone, [tap], SIDE, graph, threshold),
        "model": model,
        "metadata": metadata,
        "pixels": pixels[N_TRAIN:],
        "scores": held_out,
        "maps": maps,
        "files": files[N_TRAIN:],
    }
