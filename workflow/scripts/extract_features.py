"""Rule `features`: run a backbone over one category and keep every layer that is asked for."""

import contextlib
import sys
from pathlib import Path

import torch

from defectbench.errors import job_log
from defectbench.features.allocator import keep_freed_memory
from defectbench.features.backbones import load_backbone
from defectbench.features.extraction import extract_features, select_device, select_precision
from defectbench.features.gpus import claimed_gpu
from defectbench.features.taps import Tap
from defectbench.progress import Progress
from defectbench.provenance import file_sha256, library_versions
from defectbench.storage import create_h5, open_h5, read_attributes

with job_log(snakemake.log[0]), contextlib.ExitStack() as claims:
    torch.set_num_threads(snakemake.threads)
    keep_freed_memory()
    device = select_device(snakemake.params.device)
    if device.type == "cuda":
        gpus = [
            str(torch.cuda.get_device_properties(i).uuid) for i in range(torch.cuda.device_count())
        ]
        device = torch.device("cuda", claims.enter_context(claimed_gpu(gpus)))
    device_name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    found = "" if device.type == "cuda" else " (no GPU found, or device: cpu)"
    print(f"device: {device_name}{found}", file=sys.stderr)
    precision = select_precision(snakemake.params.precision, device)
    weights = Path(snakemake.input.weights)
    backbone = load_backbone(snakemake.wildcards.backbone, weights)
    with open_h5(snakemake.input.images) as images:
        provenance = read_attributes(images)["provenance"]
        provenance["versions"] |= library_versions("torch", "torchvision", "timm")
        provenance |= {
            "weights_sha256": file_sha256(weights),
            "code_features": snakemake.params.code["code"],
            "device": device_name,
            "precision": precision,
        }
        with create_h5(snakemake.output.features, {"provenance": provenance}) as output:
            taps = [Tap(*tap) for tap in snakemake.params.taps]
            progress = Progress(len(images["images"]), "features " + "/".join(snakemake.wildcards))
            extract_features(images["images"], backbone, taps, device, precision, output, progress)
