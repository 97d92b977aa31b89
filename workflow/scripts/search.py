"""Rule `search`: which set-up finds the defects of a category, within a budget."""

import shutil
from pathlib import Path

from defectbench.errors import job_log
from defectbench.evaluation.choice import STABILITY
from defectbench.evaluation.nested_choice import FOLDS
from defectbench.features.devices import Machine
from defectbench.features.feature_file import Pass, provenances
from defectbench.garbage import exiting_at_once
from defectbench.images.index import dataset_digest, join_copies, read_grouped_index
from defectbench.search.budget import Budget
from defectbench.search.features import SearchedFeatures
from defectbench.search.halving import halve
from defectbench.search.limits import bytes_of, seconds_and_trials
from defectbench.search.merits import compared_by
from defectbench.search.outcome import outcome
from defectbench.search.parts import nested_parts
from defectbench.search.space import set_ups, taps_of
from defectbench.search.trials import Settings, Trials
from defectbench.storage import read_json, write_json

with exiting_at_once(), job_log(snakemake.log[0]):
    given, params, category = snakemake.input, snakemake.params, snakemake.wildcards.category
    index = join_copies(read_grouped_index(given.index, params.groups, category))
    limits = params.search
    settings = Settings(
        category,
        params.rate,
        params.rule,
        *compared_by(index, params.rate),
        params.folds,
        params.seed,
        limits.get("max_ms"),
    )
    candidates = set_ups([(row.height, row.width) for row in index], limits["backbones"])
    weights = dict(zip(limits["backbones"], given.weights, strict=True))
    passes = {
        key: Pass.of_entry(entry, weights[key[1]], index)
        for key, entry in taps_of(candidates).items()
    }
    of_features = provenances(
        passes.values(), index, params.bits, params.storage, params.code["code"]
    )
    # what earlier trials were made of: their limits do not change what they gave
    made = {
        "settings": settings._replace(most_milliseconds=None)._asdict(),
        "dataset": dataset_digest(index),
        "passes": of_features,
        "code": params.code,
    }
    folder = Path(snakemake.output.found).with_name("trials")
    if not (folder / "made.json").is_file() or read_json(folder / "made.json") != made:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_json(folder / "made.json", made)

    parts = nested_parts(index, params.seed)
    # not a parameter: where features are computed does not make them others
    machine = Machine(
        snakemake.config["device"], params.precision, snakemake.threads, params.storage
    )
    features = SearchedFeatures(
        folder / "features",
        Path(given.category),
        index,
        parts,
        passes,
        of_features,
        machine,
        params.bits,
        bytes_of(limits["disk"]),
    )
    trials = Trials(folder, index, parts, features, settings)
    seconds, most_trials = seconds_and_trials(limits["budget"])
    budget = Budget(seconds, most_trials, params.categories)

    def keep_only(goes_on):
        features.keep_only({(each.canvas, each.backbone) for each in goes_on})

    label = f"search {snakemake.wildcards.dataset}/{category}"
    folds = 0 if settings.by == STABILITY else FOLDS
    search = halve(candidates, parts, trials, budget, trials.without, folds, keep_only, label)
    found = outcome(search, trials, settings)
    keep_only(())
    of_images = {"parts": [len(part) for part in parts], "budget": budget.told}
    write_json(snakemake.output.found, found | of_images | {"set_ups": len(candidates)})
