"""defectbench: how well do simple deep-feature detectors find defects?"""

from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


wildcard_constraints:
    dataset="[^/]+",
    category="[^/]+",
    method="[^/]+",
    backbone="[^/]+",
    preprocessing="[^/]+",


include: "workflow/rules/setup.smk"
include: "workflow/rules/needs.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/source.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/index.smk"
include: "workflow/rules/import_features.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/scores.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/pixel_metrics.smk"
include: "workflow/rules/overlays.smk"
include: "workflow/rules/detector.smk"
include: "workflow/rules/new_images.smk"
include: "workflow/rules/table.smk"
include: "workflow/rules/study_inputs.smk"
include: "workflow/rules/studies.smk"
include: "workflow/rules/page.smk"
include: "workflow/rules/usage.smk"


# run where Snakemake runs: they need the network, or are over in a moment
localrules:
    all,
    source,
    weights,
    table,
    usage,
    studies,
    detectors,


rule all:
    default_target: True
    input:
        default_reports,


onstart:
    remove_outdated_products()


onsuccess:
    say_results()
    end_at_once()
