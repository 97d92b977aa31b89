"""The workflow's rules as Snakemake reads them, those made by ``use rule … as`` included."""

import os
from functools import cache
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.rules import Rule
from snakemake.settings.types import OutputSettings, Quietness, ResourceSettings

ROOT = Path(__file__).parents[2]


@cache
def rules() -> tuple[Rule, ...]:
    """All rules of the Snakefile with the project's own config."""
    before = Path.cwd()
    settings = OutputSettings(quiet={Quietness.ALL})
    try:
        with SnakemakeApi(settings) as api:
            workflow = api.workflow(
                ResourceSettings(cores=1), snakefile=ROOT / "Snakefile", workdir=ROOT
            )
            return tuple(workflow._workflow.rules)
    finally:
        os.chdir(before)


def script_of(rule: Rule) -> str:
    """Stem of a rule's script; empty for a rule without."""
    return Path(rule.script).stem if rule.script else ""
