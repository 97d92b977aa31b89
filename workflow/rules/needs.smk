"""Time, GPUs, code and templates that rules state as their needs; memory: see memory.smk."""

from pathlib import Path

from defectbench.config.plan import chosen_categories
from defectbench.features.gpus import gpu_driver_is_loaded
from defectbench.features.weights import listed_weights
from defectbench.provenance import stage_digest
from defectbench.search.space import searched_scorers
from defectbench.sources import source_module

GPU_THREADS = 2  # decode on, while the GPU computes
MOST_THREADS = 8

# inputs of all rules that write reports, so that a changed sentence makes a report new
TEMPLATES = sorted(map(str, Path(SCRIPTS, "defectbench", "reports", "templates").iterdir()))


def gpus_per_extraction(wildcards):
    """One GPU, unless the config forbids it or jobs run on this machine and it has none."""
    if config["device"] == "cpu" or (
        config["device"] == "auto" and works_here() and not gpu_driver_is_loaded()
    ):
        return 0
    return 1


def works_here():
    """Whether jobs run on this machine, not on a cluster's."""
    return not workflow.non_local_exec


def threads_side_by_side(wildcards):
    """Threads of a stage with one job per category: the cores, shared out among the categories."""
    if gpus_per_extraction(wildcards):
        return GPU_THREADS
    categories = len(chosen_categories(config, wildcards.dataset))
    cores = (workflow.cores or MOST_THREADS) // (categories if works_here() else 1)
    return max(1, min(MOST_THREADS, cores))


def grows(base, per_mb=0, of=""):
    """Request of minutes that grows with the size of an input file and with each retry."""

    def request(wildcards, input, attempt):
        megabytes = Path(input[of]).stat().st_size / 1e6 if of else 0
        return round(attempt * (base + per_mb * megabytes))

    return request


def weights_digest(wildcards):
    """What decides a backbone's weights: the entry in the list, or else the version of timm."""
    digest = stage_digest("weights")
    listed = listed_weights().get(wildcards.backbone)
    if listed is None:
        return {"code": digest["code"], "timm": digest["timm"]}
    return {"code": digest["code"], "url": listed["url"], "sha256": listed["sha256_prefix"]}


def source_digest(wildcards):
    """Digest of the stage with the source of the dataset, and no other."""
    entry = config["datasets"][wildcards.dataset]
    return stage_digest("source", f"sources.{source_module(entry)}")


def search_digest(wildcards):
    """Digest of the search with all scorers that it tries."""
    return stage_digest("search", *(f"scorers.{name}" for name in searched_scorers()))


def speed_digest(wildcards):
    """Digest of the stage that times detectors, with all scorers of the dataset's methods."""
    methods = config["datasets"][wildcards.dataset]["methods"]
    scorers = sorted({config["methods"][name]["scorer"] for name in methods})
    return stage_digest("speed", *(f"scorers.{name}" for name in scorers))


def scorer_digest(script):
    """Digest of a script that runs the method's scorer."""

    def digest(wildcards):
        return stage_digest(script, f"scorers.{config['methods'][wildcards.method]['scorer']}")

    return digest
