"""Rules of a user's own that make what this workflow reads."""

from pathlib import Path

from runs import run_importing

FEATURES = "results/parts/plate/features.h5"
OWN_SOURCE = """
use rule * from defectbench exclude source

rule copied:
    input: "parts/{category}"
    output: directory("resources/data/parts/{category}")
    shell: "mkdir -p resources/data/parts && cp -r {input} {output}"
"""


def test_what_a_rule_of_one_s_own_makes_counts_by_what_it_made(dataset_copy: Path):
    folder = dataset_copy.parent
    dataset_copy.rename(folder / "parts")
    image = folder / "parts" / "plate" / "train" / "good" / "000.png"
    (folder / "config.yaml").write_text(
        "device: cpu\ndatasets: {parts: {source: folder, path: parts, methods: [fre_lite0]}}"
    )
    run_importing(folder, OWN_SOURCE, "--", FEATURES)
    assert "Nothing to be done" in run_importing(folder, OWN_SOURCE, "-n", "--", FEATURES)
    image.write_bytes((image.parent / "001.png").read_bytes())
    (folder / "parts" / "plate").touch()
    assert "Rule: features" in run_importing(folder, OWN_SOURCE, "--", FEATURES)
    assert "Nothing to be done" in run_importing(folder, OWN_SOURCE, "-n", "--", FEATURES)
