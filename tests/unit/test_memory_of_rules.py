"""What rules ask Snakemake for: when files are missing, when they are there, and on a retry."""

from pathlib import Path

import h5py
import pytest
from rules import rules
from snakemake.iocontainers import InputFiles, Wildcards

from defectbench import asked_memory, memory
from defectbench.errors import InputError
from defectbench.images.index import IndexRow, write_index
from defectbench.scorers.pca_kde import PcaKde

CELL = {
    "dataset": "elpv",
    "category": "plate",
    "method": "dfkde_lite0",
    "backbone": "efficientnet_lite0",
}
FOLDER = Path("results", "elpv", "plate")


def asked(name: str, attempt: int = 1, **files: Path | list[Path]) -> int | str:
    """Value of ``mem_mb`` of a rule's job."""
    (rule,) = (rule for rule in rules() if rule.name == name)
    return (
        rule.resources["mem_mb"]
        .evaluate(
            Wildcards(fromdict=CELL),
            input=InputFiles(
                fromdict={
                    name: str(file) if isinstance(file, Path) else list(map(str, file))
                    for name, file in files.items()
                }
            ),
            attempt=attempt,
            threads=2,
            rulename=name,
        )
        .value
    )


@pytest.fixture
def features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An indexed category of 30 images and their features, in the folder of a run."""
    rules()  # reads the Snakefile, which stands elsewhere
    monkeypatch.chdir(tmp_path)
    FOLDER.mkdir(parents=True)
    splits = ["train"] * 20 + ["test"] * 10
    rows = [IndexRow(f"{k}.png", split, 0, "good", "", 300, 300) for k, split in enumerate(splits)]
    write_index(FOLDER / "index.tsv", rows)
    with h5py.File(FOLDER / "features.h5", "w") as file:
        group = file.create_group("lanczos256/efficientnet_lite0")
        group.create_dataset("global_pool/pool1", (30, 1280), "float16")
    return FOLDER / "features.h5"


def test_a_job_whose_features_are_to_come_has_no_figure_yet(features: Path):
    features.unlink()
    assert asked("scores", features=features) == "<TBD>"


def test_a_job_asks_by_its_training_images_and_shapes_and_for_more_on_a_retry(features: Path):
    needed = asked_memory.scoring_bytes(PcaKde(components=16), [(1280,)], 20, 10)
    assert asked("scores", features=features) == round((asked_memory.NUMPY + needed) / 1e6)
    assert asked("scores", 3, features=features) == round(3 * (asked_memory.NUMPY + needed) / 1e6)


def test_metrics_ask_the_same_before_and_after_the_scores_are_there(features: Path):
    assert asked("metrics", scores=FOLDER / "scores.tsv") > 200


def test_an_extraction_beyond_this_machine_is_refused_by_name(
    features: Path, monkeypatch: pytest.MonkeyPatch
):
    weights = [features]
    assert asked("features", weights=weights) > 1000
    monkeypatch.setattr(memory, "memory_limit", lambda: 10**9)
    with pytest.raises(InputError, match=r"^features elpv plate ") as refused:
        asked("features", weights=weights)
    assert "1.0 GB can be had: use fewer --cores" in str(refused.value)
