"""Rule `usage`: what the finished jobs of a dataset asked for and what they used."""

import json
from pathlib import Path

from defectbench.errors import job_log
from defectbench.reports.costs import usage_table
from defectbench.storage import write_text

with job_log(snakemake.log[0]):
    files = sorted(Path(snakemake.params.benchmarks).rglob("*.jsonl"))
    jobs = [json.loads(file.read_text(encoding="utf-8").splitlines()[-1]) for file in files]
    write_text(
        snakemake.output.markdown, f"# {snakemake.wildcards.dataset}\n\n{usage_table(jobs)}\n"
    )
