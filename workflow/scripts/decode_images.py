"""Rule `images`: decode and resize the images of one category, once per preprocessing."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.features.allocator import keep_freed_memory
from defectbench.images.decoding import decode_images
from defectbench.images.index import dataset_digest, read_index
from defectbench.progress import Progress
from defectbench.provenance import library_versions
from defectbench.storage import create_array, create_h5

with job_log(snakemake.log[0]):
    keep_freed_memory()
    preprocessing = snakemake.params.preprocessing
    side = preprocessing.get("crop", preprocessing["size"])
    index = read_index(snakemake.input.index)
    files = [Path(snakemake.input.category, row.path) for row in index]
    provenance = {
        "dataset_sha256": dataset_digest(index),
        "preprocessing": preprocessing,
        "code_images": snakemake.params.code,
        "versions": library_versions("pillow", "imagecodecs", "numpy"),
    }
    with create_h5(snakemake.output.images, {"provenance": provenance}) as file:
        pixels = create_array(file, "images", (len(files), side, side, 3), "uint8")
        progress = Progress(len(files), "images " + "/".join(snakemake.wildcards))
        decoded = decode_images(files, {"images": preprocessing}, snakemake.threads)
        for row, image in enumerate(decoded):
            pixels[row] = image["images"]
            progress.advance(1)
