"""The package on the path, the terminal, what decides that a job is current, the config checked."""

import atexit
import gc
import logging
import sys
import threading
from pathlib import Path

# Snakemake's own modules stay: the garbage collector need not walk through them again and again,
# a fifth of the time that planning a small run takes
gc.freeze()

sys.path.insert(0, str(Path(workflow.basedir, "workflow", "scripts")))

from defectbench.config.checks import check_config
from defectbench.config.crossings import check_crossings
from defectbench.config.layers import check_layers
from defectbench.config.plan import separate_seeds
from defectbench.config.schema import check_schema
from defectbench.contents import Contents
from defectbench.errors import InputError
from defectbench.planning import Planner, let_receipts_decide
from defectbench.receipts import remove_outdated
from defectbench.terminal import take_over

SCRIPTS = Path(workflow.basedir, "workflow", "scripts")
CONTENTS = Contents(Path("resources", "contents.json").absolute())  # kept at the exit, elsewhere
PLANNER = Planner(SCRIPTS, CONTENTS)
SCHEMA = Path(workflow.basedir, "workflow", "schemas", "config.schema.yaml")


def planned_jobs():
    """Jobs of this run, in the order in which the Snakefile names the rules."""
    order = [rule.name for rule in workflow.rules]
    return sorted(workflow.dag.needrun_jobs(), key=lambda job: order.index(job.rule.name))


def say_results():
    """At the end of a run: the verdict on each dataset, and where table and page are."""
    from defectbench.reports.decision_text import (
        closing_lines,
    )  # takes a second that planning can spare

    if "all" not in quietness:
        reports = [file for job in workflow.dag.jobs for file in job.output]
        for line in closing_lines(map(str, reports)):
            print(line, file=sys.stderr)


def remove_outdated_products():
    """At the start of a run: reports and detectors must not outlive the results that they show."""
    if workflow.touch:
        return  # nothing is made anew
    for files in remove_outdated(PLANNER.planned(workflow.dag.jobs)):
        print(
            f"removed {', '.join(files)}: this run makes anew what that was made of; to have it "
            f"again: snakemake … {files[0]}",
            file=sys.stderr,
        )


def end_at_once():
    """Cancel the timers that Snakemake leaves running, which hold up its exit by a second.

    And leave what the exit frees anyway to it: collecting that takes another fifth of a second.
    """
    gc.freeze()
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()


quietness = {item.name.lower() for item in workflow.output_settings.quiet or ()}

if workflow.is_main_process:
    take_over(
        logging.getLogger("snakemake.logging"),
        planned_jobs,
        quietness,
        verbose=workflow.output_settings.verbose,
        dry=workflow.output_settings.dryrun,
    )
    let_receipts_decide(PLANNER)
    atexit.register(CONTENTS.save)

try:
    check_schema(config, SCHEMA)
    check_config(config)
    check_crossings(config)
    check_layers(config, Path("resources/layers"))
except InputError as error:
    raise WorkflowError(str(error)) from None

separate_seeds(config)
