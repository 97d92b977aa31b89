"""Stage detector: one file that scores new images as the benchmark did; made on demand.

in:  the images, index.tsv, the backbone's weights, model.h5, scores.tsv, held_out_scores.tsv,
     calibration_scores.tsv, maps.h5, metrics.json, the lists of licences
out: results/{dataset}/{category}/{method}/{backbone}/detector.onnx; beside it detector_at_0.1.onnx, with
     the threshold for another false-positive rate, and detector_cost.json, measured with nothing
     beside; of all that can be exported: reports/{dataset}_detectors.md
"""

exported = {
    "source": lookup("datasets/{dataset}/source", within=config),
    "calibration": lookup("datasets/{dataset}/calibration", within=config, default=""),
    "code": stage_digest("detector", "deployment.graphs.modules"),
}


rule detector:
    input:
        category=rules.source.output.category,
        index=rules.index.output.index,
        weights=detector_weights,
        model=exportable_model,
        scores=rules.scores.output.scores,
        held_out=rules.scores.output.held_out,
        calibration=rules.scores.output.calibration,
        maps=rules.scores.output.maps,
        metrics=rules.metrics.output.metrics,
        licences=[str(FACTS / "licences.csv"), str(FACTS / "weights.csv")],
    output:
        detector="results/{dataset}/{category}/{method}/{backbone}/detector.onnx",
    log:
        "logs/{dataset}/{category}/{method}/{backbone}/detector.log",
    benchmark:
        "benchmarks/{dataset}/{category}/{method}/{backbone}/detector.jsonl"
    conda:
        "../../envs/export.yaml"
    threads: 2
    resources:
        mem_mb=asks(memory.EXPORT, export_memory),
        runtime=grows(30),
    params:
        **exported,
        rate=None,
    script:
        "../scripts/detector.py"


use rule detector as detector_at_rate with:
    output:
        detector="results/{dataset}/{category}/{method}/{backbone}/detector_at_{rate}.onnx",
    log:
        "logs/{dataset}/{category}/{method}/{backbone}/detector_at_{rate}.log",
    benchmark:
        "benchmarks/{dataset}/{category}/{method}/{backbone}/detector_at_{rate}.jsonl"
    wildcard_constraints:
        rate=r"0\.[0-9]{1,6}",
    params:
        **exported,
        rate=lambda wildcards: float(wildcards.rate),


rule detector_cost:
    input:
        category=rules.source.output.category,
        index=rules.index.output.index,
        detector=rules.detector.output.detector,
    output:
        cost="results/{dataset}/{category}/{method}/{backbone}/detector_cost.json",
    log:
        "logs/{dataset}/{category}/{method}/{backbone}/detector_cost.log",
    benchmark:
        "benchmarks/{dataset}/{category}/{method}/{backbone}/detector_cost.jsonl"
    conda:
        "../../envs/export.yaml"
    # all cores, for a time that another job's work is in says nothing
    threads: workflow.cores or MOST_THREADS
    resources:
        mem_mb=asks(memory.EXPORT, detector_memory),
        runtime=grows(10),
    params:
        code=stage_digest("detector_cost"),
    script:
        "../scripts/detector_cost.py"


rule detectors:
    """Every detector of a dataset that can be exported, and what each costs as a file."""
    input:
        cards=of_cells("detector_cost", "cost", only=exportable_cells),
        templates=TEMPLATES,
    output:
        markdown="reports/{dataset}_detectors.md",
    log:
        "logs/{dataset}/detectors.log",
    benchmark:
        "benchmarks/{dataset}/detectors.jsonl"
    localrule: True
    conda:
        "../../envs/numeric.yaml"
    threads: 1
    resources:
        mem_mb=asks(memory.NUMPY),
        runtime=grows(5),
    params:
        categories=dataset_categories,
        code=stage_digest("detectors"),
    script:
        "../scripts/detectors.py"
