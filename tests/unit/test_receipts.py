"""Receipts tell what was made of what, and what has outlived it."""

from pathlib import Path

import pytest

from defectbench.receipts import Receipt, differences, receipt_path, receipts_below, remove_outdated


def keep(script: str, output: str, made_by: dict[str, str] | None = None, seed: int = 42) -> str:
    """Make an output and its receipt; the receipt's key."""
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    Path(output).write_text(script)
    inputs = {file: (key, "digest") for file, key in (made_by or {}).items()}
    made_of = {"script": script, "params": {"seed": seed}}
    receipt = Receipt(made_of, inputs, {output: "digest"})
    receipt.write()
    return receipt.key


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Keys of scores, of what was made of them, and of a report of other scores."""
    monkeypatch.chdir(tmp_path)
    scores = keep("scores", "results/scores.tsv")
    detector = keep("detector", "results/detector.onnx", {"results/scores.tsv": scores})
    keep("new_images", "results/new", {"results/detector.onnx": detector})
    keep("table", "reports/table.md", {"results/scores.tsv": scores})
    keep("metrics", "results/metrics.json", {"results/scores.tsv": scores})
    keep("page", "reports/other.html", {"results/others.tsv": "of another dataset"})
    return {"scores": scores, "detector": detector}


def test_a_receipt_lies_hidden_beside_the_first_output(run: dict[str, str]):
    path = receipt_path(["results/scores.tsv", "results/model.h5"])
    assert path == Path("results/.scores.tsv.receipt.json")
    assert Receipt.read(path).key == run["scores"]


def test_the_key_is_of_what_the_outputs_are_made_of(run: dict[str, str]):
    assert keep("scores", "results/scores.tsv") == run["scores"]
    assert keep("scores", "results/scores.tsv", seed=7) != run["scores"]


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"made_of": {}}'])
def test_a_damaged_receipt_is_none(tmp_path: Path, damage: str):
    file = tmp_path / ".scores.tsv.receipt.json"
    file.write_text(damage)
    assert Receipt.read(file) is None
    assert receipts_below(str(tmp_path)) == {}


def test_differences_are_named_by_their_place():
    old = {"params": {"seed": 42, "folds": 5}, "inputs": {"index": ["a"]}}
    new = {"params": {"seed": 7, "folds": 5}, "inputs": {"index": ["a"], "groups": ["b"]}}
    assert list(differences(old, new)) == ["inputs.groups", "params.seed"]


def test_what_was_made_of_current_results_stays(run: dict[str, str]):
    assert remove_outdated({"results/scores.tsv": run["scores"]}) == []


def test_products_of_results_that_are_made_anew_go_and_what_was_made_of_them(run: dict[str, str]):
    removed = [
        file for files in remove_outdated({"results/scores.tsv": "another key"}) for file in files
    ]
    assert set(removed) == {"results/detector.onnx", "results/new", "reports/table.md"}
    assert not any(Path(file).exists() or receipt_path([file]).exists() for file in removed)
    # what a later run reads is its own affair, and so are reports of other results
    assert Path("results/metrics.json").exists()
    assert Path("reports/other.html").exists()


def test_a_target_of_the_run_is_made_again_and_not_removed(run: dict[str, str]):
    planned = {"results/scores.tsv": "another key", "results/detector.onnx": "its new key"}
    assert sorted(remove_outdated(planned)) == [["reports/table.md"], ["results/new"]]
