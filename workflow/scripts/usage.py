"""Rule `usage`: what the finished jobs of a dataset asked for and what they used."""

from pathlib import Path

from defectbench.errors import job_log
from defectbench.reports.costs import finished_jobs, usage_table
from defectbench.storage import write_text

with job_log(snakemake.log[0]):
    jobs = finished_jobs(Path(snakemake.params.benchmarks), Path(snakemake.params.logs))
    write_text(
        snakemake.output.markdown, f"# {snakemake.wildcards.dataset}\n\n{usage_table(jobs)}\n"
    )
