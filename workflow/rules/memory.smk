"""Memory that rules state as their need, from what a job will find when it starts.

`asked_memory` knows what a job takes beside its interpreter and libraries; here stands which rule
is which kind of job.
"""

import contextlib

from snakemake.common.tbdstring import TBDString

from defectbench import asked_memory as memory
from defectbench.config.shapes import check_shapes
from defectbench.memory import of_no_machine, refuse_beyond_memory
from defectbench.scorers import scorer_class
from defectbench.search.space import searched_passes

SMALLER_SQUARES = "use fewer --cores, or smaller sizes in `preprocessings`"


def asks(base, needed=None, remedy=""):
    """Request of MB: that of its kind of job and what its inputs and settings say, in bytes.

    More with each retry. Snakemake asks when it plans, where inputs may be missing, and again when
    a job is about to start.

    Parameters
    ----------
    base
        Of the kind of job.
    needed
        Function of wildcards, input and threads, or none.
    remedy
        What to change where jobs run here and this machine cannot have so much: the run ends
        before such a job starts. Without one, that is for the job to say, beside which others go on.
    """

    def request(wildcards, input, attempt, threads, rulename):
        try:
            with contextlib.nullcontext() if works_here() else of_no_machine():
                found = base + (needed(wildcards, input, threads) if needed else 0)
        except FileNotFoundError:
            return TBDString()
        if remedy and works_here() and workflow.is_main_process:
            refuse_beyond_memory(found, remedy, " ".join([rulename, *wildcards]))
        return round(attempt * found / 1e6)

    return request


def index_rows(wildcards):
    """Rows of the index of a category."""
    return memory.read_rows(rules.index.output.index.format(**wildcards))


def scoring_memory(wildcards, input, threads):
    """Bytes for a detector fitted on a category, held out, and shown the test images."""
    return scored(wildcards, input, 0)


def study_memory(wildcards, input, threads):
    """The same where defective images may be among those that it is fitted on."""
    return scored(wildcards, input, sum(row.label for row in index_rows(wildcards)))


def across_memory(wildcards, input, threads):
    """The same where it is shown images of other places, too."""
    return scored(wildcards, input, 0) + memory.judging_bytes(input.other_features)


def scored(wildcards, input, added):
    """Bytes for a detector fitted on the training images and some more."""
    rows = index_rows(wildcards)
    fitted = sum(row.split == "train" for row in rows)
    method = config["methods"][wildcards.method]
    scorer = scorer_class(method["scorer"])(**scorer_parameters(config, wildcards.method))
    shapes = memory.image_shapes(input.features, method_group(wildcards), method_arrays(wildcards))
    return memory.scoring_bytes(scorer, shapes, fitted + added, len(rows) - fitted)


def extraction_base(wildcards):
    """Bytes for PyTorch, with the libraries of a GPU where one is used."""
    return memory.CUDA if gpus_per_extraction(wildcards) else memory.PYTORCH


def extraction_memory(wildcards, input, threads):
    """Bytes for the pass of every backbone over a category's images.

    Their sizes are known here for the first time: what cannot be made of them is refused.
    """
    check_shapes(config, wildcards.dataset, wildcards.category, index_rows(wildcards))
    passes = extraction_passes(wildcards)
    backbones = sorted({entry["backbone"] for entry in passes})
    weights = dict(zip(backbones, input.weights, strict=True))
    found = memory.extraction_bytes(index_rows(wildcards), passes, weights, threads)
    return extraction_base(wildcards) + found


def speed_memory(wildcards, input, threads):
    """Bytes for one detector after the other, and for a single image on its way through it."""
    largest = max(memory.files_bytes([model]) for model in input.models)
    drawn = memory.DRAWN_BYTES * memory.largest_pixels(index_rows(wildcards))
    return extraction_base(wildcards) + memory.COPIES_OF_A_DETECTOR * largest + drawn


def search_memory(wildcards, input, threads):
    """Bytes for the largest pass of a search, and for the detectors that it tries one by one."""
    rows = index_rows(wildcards)
    names = config["search"]["backbones"]
    weights = dict(zip(names, input.weights, strict=True))
    passes = searched_passes(rows, names)
    largest = max(memory.extraction_bytes(rows, [entry], weights, threads) for entry in passes)
    return extraction_base(wildcards) + largest + 4 * memory.BLOCK_BYTES


def robustness_memory(wildcards, input, threads):
    """Bytes for the pass of a backbone over changed images, and the detectors that judge them."""
    changes = sum(map(len, config["studies"]["robustness"].values()))
    found = memory.extraction_bytes(
        index_rows(wildcards),
        backbone_passes(wildcards),
        {wildcards.backbone: input.weights},
        threads,
        changes,
    )
    return extraction_base(wildcards) + found + 2 * memory.files_bytes(input.models)


def pixel_memory(wildcards, input, threads):
    """Bytes for pixel metrics at the sizes that the index lists."""
    resolution = config["methods"][wildcards.method].get("resolution", "original")
    return memory.pixel_metrics_bytes(index_rows(wildcards), resolution)


def decoding_memory(wildcards, input, threads):
    """Bytes for the images that are decoded at once, of a category without an index yet."""
    return threads * memory.DECODED_BYTES * memory.largest_image_pixels(input.category)


def picture_memory(wildcards, input, threads):
    """Bytes for drawing one image, its map and its overlay after another."""
    return memory.DRAWN_BYTES * memory.largest_pixels(index_rows(wildcards))


def given_memory(wildcards, input, threads):
    """Bytes for a file of features made elsewhere."""
    return memory.given_bytes(input.file)


def export_memory(wildcards, input, threads):
    """Bytes for the copies of weights and model while a detector is exported and proved."""
    return memory.COPIES_OF_A_GRAPH * memory.files_bytes([input.model, input.weights])


def detector_memory(wildcards, input, threads):
    """Bytes for the copies of an exported detector."""
    return memory.COPIES_OF_A_DETECTOR * memory.files_bytes([input.detector])


def report_memory(*names):
    """Function of bytes for a report on all that some inputs hold."""

    def needed(wildcards, input, threads):
        return memory.READ_BYTES * sum(memory.files_bytes(files_of(input[name])) for name in names)

    return needed


def page_memory(wildcards, input, threads):
    """Bytes for the scores that a page shows, and for drawing its pictures one after another."""
    rows = [row for file in input.index for row in memory.read_rows(file)]
    scores = report_memory("scores", "held_out", "calibration")(wildcards, input, threads)
    return scores + memory.DRAWN_BYTES * memory.largest_pixels(rows)


def files_of(given):
    """An input's files, of which there can be one or several."""
    return [given] if isinstance(given, str) else given
