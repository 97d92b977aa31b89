"""Rule `study_robustness`: perturbed test images against frozen detectors and thresholds."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.features.devices import Machine
from defectbench.features.feature_file import Pass
from defectbench.garbage import exiting_at_once
from defectbench.images.index import read_index
from defectbench.records import read_scores
from defectbench.studies.frozen import perturbed_scores, read_detector, robustness_levels
from defectbench.studies.perturbed_features import Perturbation, perturbed_features
from defectbench.studies.results import Settings, write_study
from defectbench.studies.trial import image_counts
from defectbench.studies.verdicts import Judged

with exiting_at_once(), job_log(snakemake.log[0]):
    given, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    index = read_index(given.index)
    test = [row for row in index if row.split == "test"]
    settings = Settings.of_params(params)
    files = zip(given.models, given.scores, given.metrics, strict=True)
    detectors = {
        name: read_detector(method, *own, params.code["code"])
        for (name, method), own in zip(params.methods.items(), files, strict=True)
    }
    blocks = perturbed_features(
        [(Path(given.category, row.file), row.sha256) for row in test],
        [Perturbation(name, each) for name, several in params.study.items() for each in several],
        [Pass.of_entry(entry, given.weights, index) for entry in params.passes],
        # not a parameter: where features are computed does not make them others
        Machine(snakemake.config["device"], params.precision, snakemake.threads, params.storage),
        params.seed,
        "robustness " + "/".join(wildcards),
        params.bits,
    )
    scores = perturbed_scores(detectors, blocks)
    clean = read_scores(given.scores[0])  # labels and groups are the same for every detector
    images = Judged(clean.labels, clean.groups, wildcards.category)
    methods = {
        name: {
            "levels": robustness_levels(detector, scores[name], images, settings),
            "specification": detector.specification,
        }
        for name, detector in detectors.items()
    }
    counts = image_counts(sum(row.split == "train" for row in index), images)
    write_study(
        snakemake.output.study,
        "robustness",
        wildcards,
        params.study,
        settings,
        counts,
        methods=methods,
    )
