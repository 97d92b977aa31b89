"""What a run says on the terminal: one line per stage and category, and errors in their own words.

Snakemake's own messages are meant for who writes a workflow: four lines per job, and of a failure
the line of the rule. They stay in its log file, and on the terminal with ``--verbose``. A handler
of the run's log takes their place. As a plugin for ``--logger`` it would have to be installed as a
package of its own, and without the option nobody would see it.
"""

import logging
import re
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, TextIO

from defectbench.active_runs import Run, others_active
from defectbench.errors import error_lines
from defectbench.names import visible
from defectbench.progress import CLEAR_LINE

ASKED_FOR = frozenset({"", "debug_dag", "rulegraph"})
"""Events that only options bring about, and messages that belong to none: these are shown."""

CHATTER = (
    "Building DAG of jobs",
    "Complete log(s)",
    "Conda environments: ignored",
    "Execute ",
    "Exiting because a job execution failed",
    "Removing output files of failed job",
    "Rules claiming more threads",
    "Select jobs to execute",
    "Rules with provenance triggered jobs",
    "Shutting down",
    "Some jobs were triggered by provenance information",  # whose advice does not reach receipts
    "Using shell",
)
ELAPSED = "Elapsed time"
LOCKED = "Directory cannot be locked"
INTERRUPTED = "interrupted; the same command goes on"
FAILED = "At least one job did not complete successfully"

LAST_LINES = 30
"""How much is shown of the log of a job that does not say why it failed."""


def take_over(
    logger: logging.Logger,
    run: Run,
    planned: Callable[[], Iterable[Any]],
    quiet: Collection[str],
    *,
    verbose: bool,
    dry: bool,
) -> None:
    """Let a run speak on the terminal in lines of its own.

    Parameters
    ----------
    logger
        Snakemake's.
    run
        This run.
    planned
        Jobs to be done, each with `rule.name` and `wildcards_dict`, in the order of the stages;
        called once they are known.
    quiet
        What ``--quiet`` names: with ``progress`` or ``all``, only errors are told.
    verbose
        Whether Snakemake's own messages stay as they are.
    dry
        Whether nothing is run.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # names that the terminal cannot show
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            if not verbose:
                handler.addFilter(WithoutChatter(run, dry))
            silent = dry or verbose or not {"progress", "all"}.isdisjoint(quiet)
            logger.addHandler(StageLines(handler.stream, run, planned, silent, verbose))


class WithoutChatter(logging.Filter):
    """Drops Snakemake's chatter, and messages in whose place `StageLines` has its own.

    Parameters
    ----------
    run
        This run.
    dry
        Whether nothing is run; the number of jobs by rule is then told, once.
    """

    def __init__(self, run: Run, dry: bool) -> None:
        super().__init__()
        self._run = run
        self._jobs_are_told, self._failed = not dry, False

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a message is shown."""
        if self._run.interrupted:
            return False
        event = str(getattr(record, "event", None) or "")
        if event == "run_info":
            told, self._jobs_are_told = self._jobs_are_told, True
            return not told
        self._failed |= record.levelno >= logging.ERROR
        if self._failed and record.getMessage().startswith(ELAPSED):
            return False  # the error is the last word
        return event in ASKED_FOR and not record.getMessage().startswith(CHATTER)


class StageLines(logging.Handler):
    """A line for each stage of a category when it is done; errors at once, and at the end again.

    Parameters
    ----------
    stream
        The terminal, or the file in its place.
    run, planned
        As in `take_over`.
    silent
        Whether only errors are told.
    verbose
        Whether Snakemake tells its own errors itself.
    """

    def __init__(
        self,
        stream: TextIO,
        run: Run,
        planned: Callable[[], Iterable[Any]],
        silent: bool,
        verbose: bool,
    ) -> None:
        super().__init__()
        self.stream, self.run, self.planned = stream, run, planned
        self.silent, self.verbose = silent, verbose
        self._left: Counter[tuple[str, str]] = Counter()
        self._jobs: dict[int, tuple[str, str]] = {}
        self._seen: Counter[tuple[str, str]] = Counter()
        self._started: dict[tuple[str, str], float] = {}
        self._errors: dict[int, str] = {}
        self._unexplained = self._last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Say what an event of the run means, if anything."""
        if self.run.interrupted:
            if self._last != INTERRUPTED:
                self._write(INTERRUPTED)
            return
        event = str(getattr(record, "event", None) or "")
        # each event has attributes of its own, listed in snakemake_interface_logger_plugins
        if event in ("run_info", "job_info", "job_finished", "job_error", "error"):
            getattr(self, f"_{event}")(record)

    def _run_info(self, record: logging.LogRecord) -> None:
        stages = [stage_of(job.rule.name, job.wildcards_dict) for job in self.planned()]
        self._left = Counter(stage for stage in stages if stage[0] != "all")
        self._say(f"{self._left.total()} jobs: {_by_rule(self._left)}")

    def _job_info(self, record: Any) -> None:
        stage = stage_of(record.rule_name, record.wildcards)
        self._jobs[record.jobid] = stage
        self._started.setdefault(stage, time.monotonic())

    def _job_finished(self, record: Any) -> None:
        self._errors.pop(record.job_id, None)  # another try went well
        stage = self._jobs.get(record.job_id)
        if stage not in self._left:
            return
        self._seen[stage] += 1
        self._left -= Counter([stage])
        if stage in self._left:
            return
        rule, subject = stage
        jobs = f" ({self._seen[stage]} jobs)" if self._seen[stage] > 1 else ""
        seconds = time.monotonic() - self._started[stage]
        left = f"; left: {_by_rule(self._left)}" if self._left else "; nothing left"
        self._say(f"{rule} {subject}{jobs}: {_duration(seconds)}{left}")

    def _job_error(self, record: Any) -> None:
        files = [Path(log) for log in record.log if Path(log).is_file()]
        logs = [file.read_text(encoding="utf-8", errors="replace") for file in files]
        text = "\n".join(filter(None, map(error_lines, logs)))
        if not text:  # killed, or a fault of the workflow
            last = "\n".join(logs).splitlines()[-LAST_LINES:]
            reason = "\n".join([self._unexplained, *last]).strip()
            stage = " ".join(self._jobs.get(record.jobid, (record.rule_name,))).strip()
            text = f"error: {stage} failed\n{textwrap.indent(reason, '  ')}"
        self._errors[record.jobid] = f"{text}\n  log: {', '.join(record.log)}"
        self._unexplained = ""
        self._write(self._errors[record.jobid])

    def _error(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if "CalledProcessError" in message:
            self._unexplained = message  # of a script, whose log says why
        elif FAILED in message:
            last = "\n".join(self._errors.values()) or self._unexplained or f"error: {FAILED}"
            if last != self._last:
                self._write(last)
        elif LOCKED in message:
            self._write(about_lock())
        elif (short := in_short(message)) != message or not self.verbose:
            self._write(short)

    def _say(self, line: str) -> None:
        if not self.silent:
            self._write(line)

    def _write(self, text: str) -> None:
        self._last = text
        clear = CLEAR_LINE if self.stream.isatty() else ""
        self.stream.write(f"{clear}{visible(text)}\n")
        self.stream.flush()


def stage_of(rule: str, wildcards: Any) -> tuple[str, str]:
    """A job's rule, and its dataset and category; a category's detectors are one stage."""
    named = dict(wildcards)
    parts = [named[key] for key in ("dataset", "category") if key in named]
    return rule, "/".join(parts or named.values())


def about_lock() -> str:
    """What to do where Snakemake's lock keeps a run from its files."""
    if active := others_active():
        return f"error: another run is active in this folder ({active}); wait until it ends"
    return (
        "error: a run in this folder was killed and has left its lock; `snakemake --unlock` "
        "removes it, then the same command goes on"
    )


def in_short(message: str) -> str:
    """The message of an `InputError` that an error of Snakemake wraps, or all of another error."""
    # Snakemake names the file of the Snakefile before the message, wildcards and traceback after it
    found = re.search(
        r"^ *(?:WorkflowError|InputError|BeyondMemoryError|OSError)(?: in file [^\n]*)?:\s+(.+?)"
        r"(?=^ *(?:Wildcards|Traceback|File )|\Z)",
        message,
        flags=re.MULTILINE | re.DOTALL,
    )
    return f"error: {textwrap.dedent(found[1]).strip()}" if found else message


def _by_rule(stages: Counter[tuple[str, str]]) -> str:
    counts = Counter(rule for rule, _ in stages.elements())
    return ", ".join(f"{jobs} {rule}" for rule, jobs in counts.items())


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
