"""Input functions and parameters of the studies."""


def study(name):
    """Parameter: a study's block in the config."""
    return lookup(f"studies/{name}", within=config, default=None)


def of_study(name, rule):
    """Input function: the files of a study that the config asks for, of all detectors."""

    def files(wildcards):
        return of_cells(rule, "study")(wildcards) if name in config.get("studies", {}) else []

    return files


def backbone_passes(wildcards):
    """Parameter: what a category's methods read of one backbone."""
    passes = extraction_passes(wildcards)
    return [entry for entry in passes if entry["backbone"] == wildcards.backbone]


def backbone_methods(wildcards):
    """Parameter: the methods that read a backbone, with all that scoring needs to know."""
    names = config["datasets"][wildcards.dataset]["methods"]
    return {
        name: {
            "scorer": config["methods"][name]["scorer"],
            "parameters": scorer_parameters(config, name),
            "group": f"{config['methods'][name]['preprocessing']}/{wildcards.backbone}",
            "layers": [
                f"{layer}/pool{config['methods'][name]['pool']}"
                for layer in method_layers(config["methods"][name])
            ],
        }
        for name in names
        if wildcards.backbone in config["methods"][name]["backbones"]
    }


def of_backbone(name):
    """Input function: an output of rule `scores` of all methods that read a backbone."""

    def files(wildcards):
        pattern = rules.scores.output[name]
        return [pattern.format(method=each, **wildcards) for each in backbone_methods(wildcards)]

    return files


def backbone_weights(wildcards):
    """Weights of one backbone."""
    backbones = [entry["backbone"] for entry in extraction_passes(wildcards)]
    place = sorted(set(backbones)).index(wildcards.backbone)
    return category_weights(wildcards)[place]


# one job for all detectors of a backbone: an image is decoded once, and seen once in each light


def judged_categories(wildcards):
    """Parameter: whose test images a detector is shown, its own category's first."""
    pairs = config.get("studies", {}).get("across", [])
    known = all_categories(config, wildcards.dataset)
    others = [pair["test"] for pair in pairs if pair["train"] == wildcards.category]
    return [wildcards.category, *(other for other in others if other in known)]


def of_judged(made):
    """Input function: a file of each of those categories."""

    def files(wildcards):
        pattern = made(wildcards) if callable(made) else made
        return [
            pattern.format(dataset=wildcards.dataset, category=category)
            for category in judged_categories(wildcards)
        ]

    return files


def features_pattern(wildcards):
    """The feature file of any category of the dataset."""
    made_by = rules.import_features if features_are_given(wildcards) else rules.features
    return made_by.output.features


def crossing_cells(config, dataset):
    """Detectors on those categories from which they are taken across."""
    pairs = config.get("studies", {}).get("across", [])
    known = all_categories(config, dataset)
    trained = {pair["train"] for pair in pairs if pair["test"] in known}
    return [cell for cell in cells(config, dataset) if cell.category in trained]


def of_robustness(wildcards):
    """Input function: files of the robustness study; features made elsewhere have no images."""
    if features_are_given(wildcards):
        return []
    return of_study("robustness", "study_robustness")(wildcards)


def all_studies(wildcards):
    """Input function: the files of all studies of a dataset."""
    return [
        *of_study("training_size", "study_training_size")(wildcards),
        *of_study("contamination", "study_contamination")(wildcards),
        *of_robustness(wildcards),
        *of_cells("study_across", "study", only=crossing_cells)(wildcards),
    ]


def shown_studies(wildcards):
    """Input function of the page: those files where the dataset's `studies` says so."""
    shown = config["datasets"][wildcards.dataset]["studies"]
    return all_studies(wildcards) if shown else []


def shown_studies_report(wildcards):
    """Input function of the page: the report that it then links to."""
    shown = config["datasets"][wildcards.dataset]["studies"]
    return rules.studies.output.markdown.format(**wildcards) if shown else []


def some_study(wildcards):
    """Parameter: which studies there are; without one there is nothing to report."""
    if "studies" not in config:
        raise WorkflowError("config: studies: name a study, such as those of docs/studies.md")
    return sorted(config["studies"])
