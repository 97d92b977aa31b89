"""Input functions and parameters of the studies."""

from types import SimpleNamespace

from defectbench.config.crossings import crossings
from defectbench.config.plan import studied_cells, studied_methods


def backbone_passes(wildcards):
    """Parameter: what the methods of a category that are studied read of one backbone."""
    methods = [config["methods"][name] for name in studied_methods(config, wildcards.dataset)]
    used = {method["preprocessing"] for method in methods}
    return [
        entry
        for entry in extraction_passes(wildcards)
        if entry["backbone"] == wildcards.backbone and entry["preprocessing"] in used
    ]


def backbone_methods(wildcards):
    """Parameter: the studied methods that read a backbone, with all that scoring needs to know."""
    found = {}
    for name in studied_methods(config, wildcards.dataset):
        if wildcards.backbone in config["methods"][name]["backbones"]:
            own = SimpleNamespace(**wildcards, method=name)
            found[name] = {
                "scorer": config["methods"][name]["scorer"],
                "parameters": scorer_parameters(config, name),
                "features_group": method_group(own),
                "layers": method_arrays(own),
            }
    return found


def of_backbone_methods(rule, name):
    """Input function: an output of a rule for all methods that read a backbone."""

    def files(wildcards):
        pattern = getattr(rules, rule).output[name]
        return [pattern.format(method=each, **wildcards) for each in backbone_methods(wildcards)]

    return files


def backbone_weights(wildcards):
    """Weights of one backbone."""
    backbones = [entry["backbone"] for entry in extraction_passes(wildcards)]
    place = sorted(set(backbones)).index(wildcards.backbone)
    return category_weights(wildcards)[place]


def crossings_by_train(wildcards):
    """By place that detectors of a category are fitted on: the places whose images they judge."""
    found = {}
    for crossing in crossings(config, wildcards.dataset, wildcards.category):
        found.setdefault(crossing.train, []).append(crossing.test)
    return found


def study_of_crossings(wildcards):
    """Parameter: `crossings_by_train` with all that reading and naming their images needs."""
    return [
        {
            "title": train.title(wildcards.dataset),
            "groups": list(train.groups),
            "tests": [
                {
                    "title": test.title(wildcards.dataset),
                    "category": test.category,
                    "groups": list(test.groups),
                    "groups_by": dataset_groups(test),
                }
                for test in tests
            ],
        }
        for train, tests in crossings_by_train(wildcards).items()
    ]


def files_of_tests(made):
    """Input function: a file of each place that is shown, in the order of `study_of_crossings`.

    Parameters
    ----------
    made
        A file's pattern, or a function of a place that gives it, or none.
    """

    def files(wildcards):
        shown = [test for tests in crossings_by_train(wildcards).values() for test in tests]
        found = [(made(place) if callable(made) else made, place) for place in shown]
        return [pattern.format(**place._asdict()) for pattern, place in found if pattern]

    return files


def features_pattern(place):
    """Pattern of the feature files of a place's dataset."""
    made_by = rules.import_features if features_are_given(place) else rules.features
    return made_by.output.features


def crossing_cells(config, dataset):
    """Detectors on those categories from which they are taken across."""
    studied = studied_cells(config, dataset)
    return [cell for cell in studied if crossings(config, dataset, cell.category)]


def all_studies(wildcards):
    """Input function: the files of all studies of a dataset that the config asks for."""
    files = {
        "training_size": of_cells("study", "study", only=studied_cells, study="training_size"),
        "contamination": of_cells("study", "study", only=studied_cells, study="contamination"),
        "robustness": of_cells("study_robustness", "study", only=studied_cells),
        "across": of_cells("study_across", "study", only=crossing_cells),
    }
    if features_are_given(wildcards):
        del files["robustness"]  # there are no images that could change
    wanted = [name for name in files if name in config.get("studies", {})]
    return [file for name in wanted for file in files[name](wildcards)]


def shown_studies(wildcards):
    """Input function of the page: the studies' files, if the dataset says ``studies: true``."""
    shown = config["datasets"][wildcards.dataset]["studies"]
    return all_studies(wildcards) if shown else []


def shown_studies_report(wildcards):
    """Input function of the page: the studies' report, which the page links to if it shows them."""
    shown = config["datasets"][wildcards.dataset]["studies"]
    return rules.studies.output.markdown.format(**wildcards) if shown else []


def some_study(wildcards):
    """Parameter: names of the studies; an error without any, for there is nothing to report."""
    if "studies" not in config:
        raise WorkflowError("config: studies: name a study, such as those of docs/studies.md")
    return sorted(config["studies"])
