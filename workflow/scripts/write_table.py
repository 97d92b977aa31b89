"""Rule `table`: the report of one dataset, its details, and its tidy CSV twin."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.reports.decision_words import decision_markdown
from defectbench.reports.details import details
from defectbench.reports.earlier import (
    earlier_cells,
    keep_report,
    kept_reports,
    read_cell,
    variant,
)
from defectbench.reports.notes import notes_by_category
from defectbench.reports.published import (
    NOTHING_PUBLISHED,
    comparable,
    read_publication,
    remarks,
)
from defectbench.reports.results import Results, paired_differences, tidy_results
from defectbench.reports.seeds import average_seeds
from defectbench.reports.tables import report
from defectbench.storage import atomic_path, read_arrays, read_json, write_text

with job_log(snakemake.log[0]):
    inputs, categories = snakemake.input, snakemake.params.categories
    run = [read_cell(Path(path).parent) for path in inputs.metrics]
    earlier, coverage = earlier_cells(run, categories)
    cells = sorted([*run, *earlier], key=lambda cell: categories.index(cell.entry["category"]))
    metrics, replicates = average_seeds(
        [cell.entry for cell in cells],
        [read_arrays(cell.folder / "replicates.h5")[0] for cell in cells],
    )
    own = variant(metrics)
    whole = {entry["category"] for entry in metrics} == set(categories)
    kept = Path(snakemake.output.markdown).parent / f"{snakemake.wildcards.dataset}_kept"
    publication = read_publication(*inputs.published) if inputs.published else NOTHING_PUBLISHED
    figures, incomparable = comparable(publication, metrics)
    results = Results(
        snakemake.wildcards.dataset,
        categories,
        metrics,
        tidy_results(metrics, figures),
        paired_differences(metrics, replicates),
        incomparable,
        notes_by_category([cell.folder for cell in cells]),
        remarks(publication, figures),
        [*coverage, *kept_reports(kept, own if whole else "")],
    )
    write_text(
        snakemake.output.markdown, report(results, decision_markdown(read_json(inputs.decision)))
    )
    write_text(snakemake.output.details, details(results))
    with atomic_path(snakemake.output.csv) as part:
        # six digits: the rest is rounding, which another number of threads changes
        results.tidy.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
    if whole:
        keep_report(snakemake.output, kept / own)
