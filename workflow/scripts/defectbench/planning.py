"""Snakemake decides by receipts what must be made again, not by its records or the times of files.

This replaces three private parts of Snakemake (its record of finished jobs, the time of a job's
oldest output, and the question which of the two has changed), because no option, plugin or
directive lets a workflow decide by content; `startup` refuses versions of which this has not been
tested. It may go when Snakemake keeps its records beside the results, by content.
"""

import asyncio
import os
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import snakemake.workflow
from snakemake.exceptions import WorkflowError
from snakemake.jobs import Job
from snakemake.persistence import NO_PARAMS_CHANGE, ParamsChange
from snakemake.settings.enums import RerunTrigger

from defectbench.contents import Contents, State, states
from defectbench.receipts import Receipt, as_json, differences, key_of, receipt_path

NO_RECEIPT = "nothing says what it was made of"


class Planner:
    """Compares jobs with their receipts, and writes the receipts of those that finish.

    Parameters
    ----------
    scripts
        Folder of the workflow's scripts. Receipts are kept for jobs that run one of them. Jobs of a
        user's own rules, and jobs whose files are in remote storage, are left to Snakemake.
    contents
        Digests of files.

    Attributes
    ----------
    contents
        The same.
    """

    def __init__(self, scripts: Path, contents: Contents) -> None:
        self._scripts, self.contents = scripts.resolve(), contents
        self._keeps: dict[Job, bool] = {}
        self._is_fed: dict[Job, bool] = {}
        self._made_of: dict[Job, dict[str, Any]] = {}
        self._keys: dict[Job, str] = {}
        self._begun: dict[Job, dict[str, dict[str, State]]] = {}

    def keeps(self, job: Job) -> bool:
        """Whether the job is one whose receipt is kept."""
        if job not in self._keeps:
            self._keeps[job] = self._runs_our_script(job) and not any(
                file.is_storage for file in (*job.input, *job.output)
            )
        return self._keeps[job]

    def reasons(self, job: Job) -> list[str]:
        """Why a job is not current; empty for one that is, or that has left nothing to compare."""
        there = [file for file in job.output if os.path.lexists(file)]
        if not there:
            return []  # whether it is needed is for Snakemake to see
        receipt = Receipt.read(receipt_path(job.output))
        if receipt is None:
            return [NO_RECEIPT]
        changed = [f for f in there if receipt.outputs.get(f) != self.contents.digest(f)]
        makers = self._kept_makers(job)
        kept = {maker: Receipt.read(receipt_path(maker.output)) for maker in set(makers.values())}
        for file, maker in makers.items():
            _, taken = receipt.made_by.get(file, ("", ""))
            if kept[maker] is not None and kept[maker].outputs.get(file) != taken:
                changed.append(file)
        return [*differences(receipt.made_of, self.made_of(job)), *changed]

    def made_of(self, job: Job) -> dict[str, Any]:
        """What the job's outputs are made of today, as in `Receipt`."""
        if job not in self._made_of:
            makers = self._kept_makers(job)
            made_of = {
                "script": Path(job.rule.script).stem,
                "wildcards": job.wildcards_dict,
                "params": dict(job.params.items()),
                "inputs": {
                    name: [self._identity(file, makers.get(file)) for file in _files(value)]
                    for name, value in job.input.items()
                },
            }
            self._made_of[job] = as_json(made_of)
        return self._made_of[job]

    def key(self, job: Job) -> str:
        """Key of the receipt that a job has if it is current, or will have."""
        if job not in self._keys:
            self._keys[job] = key_of(self.made_of(job))
        return self._keys[job]

    def planned(self, jobs: Iterable[Job]) -> dict[str, str]:
        """Of the jobs' outputs, the key of the receipt that they have or will have."""
        return {str(file): self.key(job) for job in jobs if self.keeps(job) for file in job.output}

    def begin(self, job: Job) -> None:
        """Remember the state of a job's inputs; its old outputs are no longer vouched for."""
        receipt_path(job.output).unlink(missing_ok=True)
        # a group of jobs is submitted at once: the first ones' outputs are still to come
        to_come = {f for f, maker in _makers(job).items() if _is_to_come(maker)}
        self._begun[job] = {f: states(f) for f in job.input if f not in to_come}

    def finish(self, job: Job) -> None:
        """Write the receipt of a job that has made all its outputs.

        Raises
        ------
        WorkflowError
            If an input is not what it was when the job was planned, or was written meanwhile.
        """
        begun = self._begun.pop(job, None)
        if begun is None or not all(os.path.lexists(file) for file in job.output):
            return  # it failed
        for file in job.input:
            changed = _first_difference(begun[file], states(file)) if file in begun else None
            if changed is not None or not self._is_as_planned(job, file):
                name = os.path.realpath(os.path.join(file, changed or ""))
                raise WorkflowError(
                    f"{name}: changed while {job.rule.name} or a stage before it read it, so that "
                    "its results cannot be trusted; run the same command again"
                )
        if self._is_fed_by_others(job):
            # the plan knew of the files that they had still to make nothing, or what was there then
            self._made_of.pop(job, None)
            self._keys.pop(job, None)
            job.reset_params_and_resources()
        made_by = {
            str(file): (self.key(maker), self.contents.digest(file))
            for file, maker in sorted(self._kept_makers(job).items())
        }
        outputs = {str(file): self.contents.digest(file) for file in job.output}
        Receipt(self.made_of(job), made_by, outputs).write()

    def _runs_our_script(self, job: Job) -> bool:
        if not job.rule.script:
            return False
        rules = str(job.rule.basedir.get_path_or_uri(secret_free=False))
        return Path(rules, job.rule.script).parent.resolve() == self._scripts

    def _identity(self, file: str, maker: Job | None) -> str:
        if maker is None:
            return self.contents.digest(file)
        return f"{Path(file).name} {self.key(maker)}"

    def _is_as_planned(self, job: Job, file: str) -> bool:
        maker, found = _makers(job).get(file), self.contents.digest(file)
        if maker is None:
            return any(found in planned for planned in self.made_of(job)["inputs"].values())
        if not self.keeps(maker):
            return True  # nobody could know what it would make
        receipt = Receipt.read(receipt_path(maker.output))
        return receipt is not None and receipt.outputs.get(file) == found

    def _is_fed_by_others(self, job: Job) -> bool:
        """Whether a job reads, itself or through other jobs, what a job without a receipt makes."""
        if job not in self._is_fed:
            makers = set(_makers(job).values())
            self._is_fed[job] = any(not self.keeps(m) or self._is_fed_by_others(m) for m in makers)
        return self._is_fed[job]

    def _kept_makers(self, job: Job) -> dict[str, Job]:
        """Of a job's inputs, those that other jobs with receipts make."""
        return {file: maker for file, maker in _makers(job).items() if self.keeps(maker)}


@cache
def planner_of(scripts: Path, memory: Path) -> Planner:
    """The planner of a run, one and the same however often its workflow is imported as a module."""
    return Planner(scripts, Contents(memory))


@cache
def let_receipts_decide(planner: Planner) -> None:
    """Make Snakemake ask a planner which of its jobs have changed, whatever files' times say."""
    for name in ("FilePersistence", "DbPersistence"):
        records = getattr(snakemake.workflow, name)
        setattr(snakemake.workflow, name, _asking(planner, records))
    oldest_output = Job.output_mintime.fget

    async def output_mintime(job: Job) -> float | None:
        return None if planner.keeps(job) else await oldest_output(job)

    Job.output_mintime = property(output_mintime)


def _asking(planner: Planner, records: type) -> type:
    """Snakemake's class of records, of which jobs with receipts ask the planner."""

    class Records(records):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            if RerunTrigger.PARAMS not in self.dag.workflow.rerun_triggers:
                raise WorkflowError(
                    "--rerun-triggers: name params among them: under that name Snakemake asks "
                    "whether results are those of today's images, settings and code"
                )

        def has_metadata(self, job: Job) -> bool:
            return planner.keeps(job) or super().has_metadata(job)

        def has_outdated_metadata(self, job: Job) -> bool:
            return not planner.keeps(job) and super().has_outdated_metadata(job)

        def params_changed(self, job: Job, file: str | None = None) -> ParamsChange:
            if not planner.keeps(job):
                return super().params_changed(job, file)
            reasons = planner.reasons(job)
            if not reasons:
                return NO_PARAMS_CHANGE
            return ParamsChange(only_new=set(reasons), files=set(job.output))

        def code_changed(self, job: Job, file: str | None = None) -> Any:
            return () if planner.keeps(job) else super().code_changed(job, file)

        def input_changed(self, job: Job, file: str | None = None) -> Any:
            return () if planner.keeps(job) else super().input_changed(job, file)

        def software_stack_changed(self, job: Job, file: str | None = None) -> Any:
            return () if planner.keeps(job) else super().software_stack_changed(job, file)

        def started(self, job: Job, external_jobid: str | None = None) -> None:
            super().started(job, external_jobid)
            if planner.keeps(job) and not self.dag.workflow.touch:
                planner.begin(job)

        async def finished(self, job: Job) -> None:
            if planner.keeps(job):
                await asyncio.to_thread(planner.finish, job)
            await super().finished(job)

    return Records


def _files(value: Any) -> Iterator[str]:
    yield from [value] if isinstance(value, str) else value


def _makers(job: Job) -> dict[str, Job]:
    """Of a job's inputs, those that other jobs make."""
    return {file: maker for maker, files in job.dag.dependencies[job].items() for file in files}


def _is_to_come(maker: Job) -> bool:
    return maker.dag.needrun(maker) and not maker.dag.finished(maker)


def _first_difference(old: dict[str, State], new: dict[str, State]) -> str | None:
    changed = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    return changed[0] if changed else None
