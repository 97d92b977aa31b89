"""The exit of a run does not wait for timers that Snakemake has left running.

Why: Snakemake's scheduler limits how many jobs it starts in a second. Whenever the limit is
reached, it starts a `threading.Timer` that wakes it a second later, and cancels none when the work
is done. Python joins those threads before it exits.

What it gains: a run of one job took 1.28 s instead of 2.14 s; a run without jobs gains nothing.

When it may go: when ``_schedule_reevalutation`` of ``snakemake.scheduling.job_scheduler`` makes its
timers daemons or the scheduler cancels them. `snakemake --cores 1 --forcerun FILE -- FILE` of a
file that takes no time, with and without the call in ``workflow/Snakefile``, then takes the same
time.
"""

import threading


def cancel_timers() -> None:
    """Cancel all timers of the process, when nothing is left that could wait for one."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()
