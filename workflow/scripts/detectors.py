"""Rule `detectors`: proof and cost of every exported detector of a dataset, in one table."""

from defectbench.errors import job_log
from defectbench.reports.costs import detectors_markdown
from defectbench.storage import read_json, write_text

with job_log(snakemake.log[0]):
    text = detectors_markdown(
        snakemake.wildcards.dataset,
        snakemake.params.categories,
        [read_json(card) for card in snakemake.input.cards],
    )
    write_text(snakemake.output.markdown, text)
