"""The workflow run from another folder, and imported by a workflow of its user's own."""

from pathlib import Path

import pytest
from runs import PAGE, ROOT, TABLE, run_importing, said, snakemake

from defectbench.errors import InputError
from defectbench.startup import check_snakemake, settings_files

OWN_WORKFLOW = """
rule first:
    input: "summary.txt"

use rule * from defectbench as bench_*

use rule overlays from defectbench as shown with:
    output:
        pictures=directory("shown/{dataset}/{category}/{method}/{backbone}"),

rule summary:
    input: "reports/parts_table.csv", "shown/parts/plate/fre_small/efficientnet_lite0"
    output: "summary.txt"
    shell: "head -1 {input[0]} > {output}"

onsuccess:
    defectbench.onsuccess()
"""


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_settings_of_a_run_elsewhere_are_merged_over_the_project_s(
    finished_copy: Path, snakefile: str
):
    (finished_copy / "config.yaml").rename(finished_copy / "my.yaml")
    settings = ("--configfile", str(finished_copy / "my.yaml"))
    run = snakemake(finished_copy, "-n", "-s", str(ROOT / snakefile), *settings, "--", TABLE, PAGE)
    assert run.returncode == 0, said(run)
    assert "Nothing to be done" in said(run)
    run = snakemake(finished_copy, "-n", *settings, "--", "reports/elpv_table.md")
    assert run.returncode == 0, said(run)


def test_an_imported_workflow_knows_its_results_and_works_beside_rules_of_one_s_own(
    finished_copy: Path,
):
    told = run_importing(finished_copy, OWN_WORKFLOW)
    done = {line.rpartition(" ")[2].strip(")") for line in told.splitlines() if "(Rule: " in line}
    assert done == {"shown", "summary", "first"}
    assert (finished_copy / "summary.txt").read_text().startswith("method,backbone,")
    assert f"table: {TABLE}" in told
    assert "Nothing to be done" in run_importing(finished_copy, OWN_WORKFLOW)


@pytest.mark.parametrize("tested", ["9.26.1", "10.27.1"])
def test_another_snakemake_than_the_tested_one_is_refused(tmp_path: Path, tested: str):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"snakemake=={tested}\n")
    with pytest.raises(InputError, match=rf"^Snakemake .* pip install snakemake=={tested} "):
        check_snakemake(requirements)


def test_a_patch_release_of_the_tested_snakemake_is_taken(tmp_path: Path):
    requirements = tmp_path / "requirements.txt"
    pinned = (ROOT / "envs" / "requirements.txt").read_text().split("snakemake==")[1].split()[0]
    requirements.write_text(f"snakemake=={pinned.rpartition('.')[0]}.99\n")
    check_snakemake(requirements)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("datasets: {}", ["project", "own"]),
        ("{datasets: {}, preprocessings: {}, methods: {}}", ["own"]),
        (None, ["project"]),
    ],
    ids=["some keys", "a whole config", "no file"],
)
def test_a_whole_config_in_the_folder_of_the_run_stands_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, read: list[str]
):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "config.yaml").write_text(text)
    files = {"project": ROOT / "config.yaml", "own": tmp_path / "config.yaml"}
    assert [Path(file).resolve() for file in settings_files()] == [files[name] for name in read]
