"""Memory, time, GPUs and code that rules state as their needs."""

from pathlib import Path

from defectbench.acquisition.weights import listed_weights
from defectbench.facts import FACTS
from defectbench.provenance import stage_digest

# a GPU is not asked for where the config forbids its use
gpus_per_extraction = 0 if config["device"] == "cpu" else 1


def grows(base, per_mb=0, of=""):
    """MB or minutes that a job asks for: more for a larger input file, and on each further try."""

    def request(wildcards, input, attempt):
        megabytes = Path(input[of]).stat().st_size / 1e6 if of else 0
        return round(attempt * (base + per_mb * megabytes))

    return request


def weights_digest(wildcards):
    """Of the libraries, timm decides weights, those apart that are listed with their hash."""
    digest = stage_digest("fetch_weights")
    listed = wildcards.backbone in listed_weights(FACTS / "weights.csv")
    return {name: digest[name] for name in (["code"] if listed else ["code", "timm"])}


def scorer_digest(script):
    """Digest of a script that runs the method's scorer."""

    def digest(wildcards):
        return stage_digest(script, f"scorers.{config['methods'][wildcards.method]['scorer']}")

    return digest
