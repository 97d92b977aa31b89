"""The package on the path, the terminal, what decides that a job is current, the config checked."""

import atexit
import copy
import logging
import os
import shlex
import sys
from pathlib import Path

from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

# not `workflow.basedir`: that is the folder of the workflow which imports this one as a module
RULES = Path(workflow.current_basedir.get_path_or_uri(secret_free=True))
SCRIPTS = RULES.parent / "scripts"
PROJECT_CONFIG = RULES.parents[1] / "config.yaml"
if not SCRIPTS.is_dir():
    raise WorkflowError(
        "defectbench runs from a folder: clone it, and name its workflow/Snakefile in the module"
    )

sys.path.insert(0, str(SCRIPTS))

from defectbench.errors import InputError, in_one_line
from defectbench.garbage import leave_what_is_there
from defectbench.startup import check_snakemake, read_settings, settings_files

leave_what_is_there()
try:
    check_snakemake()
except InputError as error:
    raise WorkflowError(str(error)) from None

from defectbench.active_runs import Run
from defectbench.config.checks import check_config
from defectbench.config.crossings import check_crossings
from defectbench.config.layers import check_layers
from defectbench.config.plan import separate_seeds
from defectbench.config.schema import check_schema
from defectbench.machine import COMMAND
from defectbench.planning import let_receipts_decide, planner_of
from defectbench.receipts import remove_outdated
from defectbench.terminal import take_over
from defectbench.timers import cancel_timers

PLANNER = planner_of(SCRIPTS, Path("resources", "contents.json").absolute())
CONTENTS = PLANNER.contents  # kept at the exit, elsewhere


def planned_jobs():
    """Jobs of this run, in the order in which the Snakefile names the rules."""
    order = [rule.name for rule in workflow.rules]
    return sorted(workflow.dag.needrun_jobs(), key=lambda job: order.index(job.rule.name))


def say_results():
    """At the end of a run: the verdict on each dataset, and where table and page are."""
    # takes a second that planning can spare
    from defectbench.reports.closing_text import closing_lines

    if "all" not in quietness:
        reports = [f for job in workflow.dag.jobs if PLANNER.keeps(job) for f in job.output]
        for line in closing_lines(map(str, reports)):
            print(line, file=sys.stderr)


def remove_outdated_products():
    """At the start of a run: reports and detectors must not outlive the results that they show."""
    if workflow.touch:
        return  # nothing is made anew
    for files in remove_outdated(PLANNER.planned(workflow.dag.jobs)):
        print(
            f"removed {', '.join(files)}: out of date, for this run changes what it was made of; "
            f"snakemake … {shlex.quote(files[0])} makes it again",
            file=sys.stderr,
        )


ELSEWHERE = f"run in another folder: snakemake -s {RULES.parents[1] / 'Snakefile'}"

quietness = {item.name.lower() for item in workflow.output_settings.quiet or ()}
is_module = not workflow.modifier.is_main_snakefile()

if workflow.is_main_process:
    RUN = Run()
    if not is_module:  # the terminal is the importing workflow's
        RUN.end_jobs_quietly()
        take_over(
            logging.getLogger("snakemake.logging"),
            RUN,
            planned_jobs,
            quietness,
            verbose=workflow.output_settings.verbose,
            dry=workflow.output_settings.dryrun,
        )
    try:
        RUN.announce(workflow.output_settings.dryrun)
    except OSError as error:  # of a folder that is read-only, or a disk that is full
        raise WorkflowError(f"{in_one_line(error, '.snakemake')}, or {ELSEWHERE}") from None
    let_receipts_decide(PLANNER)
    atexit.register(CONTENTS.save)
    os.environ[COMMAND] = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])  # jobs inherit it


try:
    # a config.yaml in the folder of the run is the importing workflow's, if there is one
    settings_read = [os.path.relpath(PROJECT_CONFIG)] if is_module else settings_files()
    if workflow.is_main_process and not is_module:
        for file in workflow.config_settings.configfiles:
            read_settings(file)  # which Snakemake has read, but not as strictly
except InputError as error:
    raise WorkflowError(str(error)) from None

for file in settings_read:

    configfile: file


# Snakemake leaves out what stands above for a module with a `config:`. And it reads the module's
# files anew for each `use rule`, with the same `config:`, which therefore stays as it is.
if workflow.modifier.skip_configfile:
    given = copy.deepcopy(config)
    config = load_configfile(PROJECT_CONFIG)
    update_config(config, given)

try:
    check_schema(config)
    check_config(config)
    check_crossings(config)
    check_layers(config, Path("resources/layers"))
except InputError as error:
    raise WorkflowError(str(error)) from None

AS_GIVEN = copy.deepcopy(config)
separate_seeds(config)
