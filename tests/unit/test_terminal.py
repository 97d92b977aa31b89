"""A run says one line per stage and category, and errors whatever the verbosity."""

import io
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

from defectbench.active_runs import Run
from defectbench.terminal import in_short, take_over


def job(rule: str, **wildcards: str) -> SimpleNamespace:
    return SimpleNamespace(rule=SimpleNamespace(name=rule), wildcards_dict=wildcards)


PLANNED = [
    job("index", dataset="parts", category="plate"),
    job("scores", dataset="parts", category="plate", method="fre"),
    job("scores", dataset="parts", category="plate", method="dfkde"),
    job("all"),
]


class Log:
    """A run's log with the terminal as Snakemake sets it up."""

    def __init__(self, quiet: tuple[str, ...] = ()) -> None:
        self.stream = io.StringIO()
        self.logger = logging.Logger("run")
        terminal = logging.StreamHandler(self.stream)
        terminal.name = "DefaultStreamHandler"
        self.logger.addHandler(terminal)
        take_over(self.logger, Run(), lambda: PLANNED, quiet, verbose=False, dry=False)

    def say(self, text: str = "", level: int = logging.INFO, **record: object) -> None:
        self.logger.log(level, text, extra=record)

    def start(self, number: int) -> None:
        planned = PLANNED[number]
        wildcards = planned.wildcards_dict
        self.say(event="job_info", jobid=number, rule_name=planned.rule.name, wildcards=wildcards)

    def fail(self, log: Path) -> None:
        failed = {"jobid": 0, "rule_name": "index", "log": [str(log)]}
        self.say("Error in rule index", logging.ERROR, event="job_error", **failed)

    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


def test_a_stage_of_a_category_is_one_line_with_what_is_left(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    run = Log()
    run.say("Job stats: …", event="run_info")
    for number in range(3):
        run.start(number)
        now[0] += 40
        run.say(f"Finished jobid: {number}", event="job_finished", job_id=number)
    assert run.lines() == [
        "3 jobs: 1 index, 2 scores",
        "index parts/plate: 40 s; left: 2 scores",
        "scores parts/plate (2 jobs): 1 min 20 s; nothing left",
    ]


@pytest.mark.parametrize("quiet", [(), ("rules",), ("all",), ("rules", "progress", "host")])
def test_a_failure_ends_in_the_job_s_own_line_at_any_verbosity(quiet: tuple[str, ...], tmp_path):
    run, log = Log(quiet), tmp_path / "index.log"
    log.write_text("warning: something\nerror: /data/plate: mend or remove\n  a.png: broken\n")
    run.start(0)
    run.say("CalledProcessError in file index.smk, line 28", logging.ERROR, event="error")
    run.fail(log)
    run.say("WorkflowError:\nAt least one job did not complete successfully.", 40, event="error")
    assert run.lines() == [
        "error: /data/plate: mend or remove",
        "  a.png: broken",
        f"  log: {log}",
    ]


def test_a_job_that_left_no_error_shows_the_command_and_the_end_of_its_log(tmp_path):
    run, log = Log(), tmp_path / "index.log"
    log.write_text("half way\n")
    run.start(0)
    run.say("CalledProcessError: died with <Signals.SIGKILL: 9>", logging.ERROR, event="error")
    run.fail(log)
    text = run.stream.getvalue()
    assert text.startswith("error: index parts/plate failed\n")
    assert "SIGKILL" in text
    assert "half way" in text


def test_an_error_that_others_followed_is_told_again_at_the_end(tmp_path):
    run, log = Log(), tmp_path / "index.log"
    log.write_text("error: broken\n")
    run.say(event="run_info")
    run.start(0)
    run.fail(log)
    for number in (1, 2):
        run.start(number)
        run.say(event="job_finished", job_id=number)
    run.say("WorkflowError:\nAt least one job did not complete successfully.", 40, event="error")
    assert run.lines()[-2:] == ["error: broken", f"  log: {log}"]
    assert run.lines().count("error: broken") == 2


def test_a_bad_setting_is_told_without_a_traceback():
    in_input_function = (
        'InputFunctionException in rule table in file "table.smk", line 12:\nError:\n'
        "  WorkflowError:\n    config: categories: none\nWildcards:\n  dataset=elpv\nTraceback:\n"
        '  File "inputs.smk", line 117, in files\n'
    )
    assert in_short(in_input_function) == "error: config: categories: none"
    at_the_start = 'WorkflowError in file "setup.smk", line 22:\nconfig: seed: -1\n  File "x"\n'
    assert in_short(at_the_start) == "error: config: seed: -1"
    assert in_short("MissingInputException: a") == "MissingInputException: a"
