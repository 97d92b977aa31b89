"""Profiles name rules that there are, and settings that Snakemake and its plugins know."""

from pathlib import Path

import pytest
import yaml
from rules import rules

ROOT = Path(__file__).parents[2]
PROFILES = sorted((ROOT / "workflow" / "profiles").glob("*/config.yaml"))
RULES = {rule.name for rule in rules()}
LIGHT = {"index", "scores", "metrics", "pixel_metrics", "study", "study_across"}


def settings(profile: Path) -> dict:
    return yaml.safe_load(profile.read_text())


def grouped(profile: Path) -> dict[str, str]:
    """Group of each rule."""
    return dict(pair.split("=") for pair in settings(profile).get("groups", []))


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.parent.name)
def test_a_profile_names_existing_rules(profile: Path):
    named = {*settings(profile).get("set-resources", {}), *grouped(profile)}
    assert named <= RULES


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.parent.name)
def test_a_profile_takes_up_an_interrupted_run(profile: Path):
    assert settings(profile)["rerun-incomplete"] is True


@pytest.mark.parametrize("profile", PROFILES[1:], ids=lambda profile: profile.parent.name)
def test_on_a_cluster_light_jobs_travel_in_groups_and_extractions_alone(profile: Path):
    assert PROFILES[0].parent.name == "default"
    assert set(grouped(profile)) == LIGHT
    groups = {pair.split("=")[0] for pair in settings(profile)["group-components"]}
    assert groups == set(grouped(profile).values())


@pytest.mark.parametrize("profile", PROFILES[1:], ids=lambda profile: profile.parent.name)
def test_on_a_cluster_failed_jobs_are_tried_again(profile: Path):
    assert settings(profile)["retries"] >= 1


@pytest.mark.parametrize("name", ["slurm", "kubernetes"])
def test_what_runs_a_backbone_goes_where_the_gpus_are(name: str):
    own = settings(ROOT / "workflow" / "profiles" / name / "config.yaml")["set-resources"]
    assert set(own) == {rule.name for rule in rules() if "gpu" in rule.resources}
    assert all(wanted == own["features"] for wanted in own.values())


def test_settings_of_snakemake_itself_are_its_own():
    from snakemake.cli import get_argument_parser

    options = {
        option.removeprefix("--")
        for action in get_argument_parser()._actions
        for option in action.option_strings
    }
    plugins = ("slurm-", "cluster-generic-", "kubernetes-", "storage-s3-")
    for profile in PROFILES:
        own = {key for key in settings(profile) if not key.startswith(plugins)}
        assert own <= options, profile


def test_one_machine_lets_three_extractions_get_ready_for_a_gpu():
    assert settings(PROFILES[0])["resources"] == {"gpu": 3}
