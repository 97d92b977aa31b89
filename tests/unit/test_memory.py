"""A process can have the smallest of all limits of memory; work beyond it is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from defectbench import memory
from defectbench.errors import InputError
from defectbench.memory import cgroup_limits, memory_limit, refuse_beyond_memory

UNLIMITED = 9223372036854771712
"""What the first version of control groups says where there is no limit."""


class Groups:
    """Control groups as Linux shows them, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.membership, self.root = folder / "cgroup", folder / "fs"
        self.root.mkdir()

    def limit(self, file: str, limit: int | str) -> None:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{limit}\n")

    def found(self, *lines: str) -> list[int]:
        self.membership.write_text("".join(f"{line}\n" for line in lines))
        return sorted(cgroup_limits(self.membership, self.root))


@pytest.fixture
def groups(tmp_path: Path) -> Groups:
    return Groups(tmp_path)


def test_second_version_gives_the_limits_of_a_group_and_of_all_around_it(groups: Groups):
    groups.limit("jobs/memory.max", 7000)
    groups.limit("jobs/one/memory.max", 9000)
    groups.limit("jobs/one/step/memory.max", "max")
    groups.limit("jobs/other/memory.max", 10)
    assert groups.found("0::/jobs/one/step") == [7000, 9000]
    assert groups.found("0::/jobs") == [7000]
    assert groups.found("0::/") == []


def test_first_version_has_a_hierarchy_of_its_own_for_memory(groups: Groups):
    groups.limit("memory/memory.limit_in_bytes", UNLIMITED)
    groups.limit("memory/jobs/memory.limit_in_bytes", 5000)
    groups.limit("cpu/jobs/memory.limit_in_bytes", 10)
    lines = ["12:cpu,cpuacct:/jobs", "7:hugetlb,memory:/jobs", "1:name=systemd:/jobs"]
    assert groups.found(*lines) == [5000, UNLIMITED]


def test_both_versions_may_be_there_at_once(groups: Groups):
    groups.limit("memory/jobs/memory.limit_in_bytes", 5000)
    groups.limit("jobs/memory.max", 6000)
    assert groups.found("7:memory:/jobs", "0::/jobs") == [5000, 6000]


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("0::/system.slice/docker-1a2b.scope", "memory.max"),
        ("0::/../docker-1a2b.scope", "memory.max"),
        ("4:memory:/docker/1a2b", "memory/memory.limit_in_bytes"),
    ],
)
def test_in_a_container_the_top_is_the_limit_whatever_the_hosts_path(
    line: str, file: str, groups: Groups
):
    groups.limit(file, 3000)
    assert groups.found(line) == [3000]


def test_a_system_without_control_groups_has_no_such_limit(tmp_path: Path):
    assert list(cgroup_limits(tmp_path / "cgroup", tmp_path)) == []


def test_the_smallest_limit_counts(monkeypatch: pytest.MonkeyPatch):
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limits, expected in (([1 << 60, 1 << 20], 1 << 20), ([1 << 60], physical), ([], physical)):
        monkeypatch.setattr(memory, "cgroup_limits", lambda *_, limits=limits: iter(limits))
        assert memory.memory_around.__wrapped__() == expected  # not the value that is kept
    monkeypatch.setattr(memory, "memory_around", lambda: 1 << 20)
    assert memory_limit() == 1 << 20


def test_the_limit_of_the_address_space_counts():
    code = "from defectbench.memory import memory_limit; print(memory_limit())"
    command = ["bash", "-c", f"ulimit -v 1000000 && '{sys.executable}' -c '{code}'"]
    folder = Path(memory.__file__).parents[1]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert int(done.stdout) <= 1000000 * 1024


def test_a_refusal_says_what_is_needed_what_there_is_and_what_to_change(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(memory, "memory_limit", lambda: 16_000_000_000)
    refuse_beyond_memory(16_000_000_000, "use fewer images")
    with pytest.raises(InputError) as refusal:
        refuse_beyond_memory(41_200_000_000, "use fewer images")
    assert str(refusal.value) == (
        "41.2 GB of memory are needed, 16.0 GB can be had: use fewer images"
    )
