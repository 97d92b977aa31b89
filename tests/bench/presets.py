"""What the presets of config.yaml find on three sets of photographs: writes reports/presets.md.

Run it with ``make bench-presets MVTEC=folder COOKIE=folder``: MVTEC holds the category bottle of
MVTec AD, COOKIE the category cookie of a set in the same layout. The solar cells come with pip.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml
from measuring import table

from defectbench.evaluation.cells import CellResults, collect_cells
from defectbench.evaluation.choice import ESCAPES
from defectbench.evaluation.operating_points import judged
from defectbench.reports.markdown import per_thousand
from defectbench.search.merits import pooled_merit
from defectbench.search.trials import FILES
from defectbench.storage import write_text

ROOT = Path(__file__).parents[2]
RATE, BACKBONE = 0.05, "efficientnet_lite0"
PRESETS = (
    "dfkde_lite0",
    "fre_lite0",
    "fre_map_lite0",
    "fre_3_layers_lite0",
    "padim_lite0",
    "patch_subspace_lite0",
    "patchcore_lite0",
    "patchcore_lite0_512_stride16",
    "patchcore_lite0_keep384",
    "patchcore_lite0_keep512_stride16",
    "fre_auto_lite0",
    "patch_subspace_auto_lite0",
    "patchcore_auto_lite0",
)


def datasets(mvtec: str, cookie: str) -> dict[str, dict]:
    """By the only category of each, its entry in the config."""
    return {
        "bottle": {"source": "folder", "path": mvtec},
        "cookie": {"source": "folder", "path": cookie},
        "polycrystalline": {"source": "elpv"},
    }


def run(entries: dict[str, dict], folder: Path) -> None:
    """Run all presets on all of them."""
    own = {
        f"presets_{category}": entry | {"all_categories": [category], "methods": list(PRESETS)}
        for category, entry in entries.items()
    }
    settings = folder / "presets.yaml"
    settings.write_text(yaml.safe_dump({"datasets": own}))
    targets = [f"reports/{name}_table.md" for name in own]
    command = [sys.executable, "-m", "snakemake", "--configfile", str(settings), "--", *targets]
    subprocess.run(command, cwd=ROOT, check=True)


def cell(category: str, preset: str) -> CellResults:
    """What a preset does on a category."""
    folder = ROOT / "results" / f"presets_{category}" / category / preset / BACKBONE
    (found,) = collect_cells({name: [str(folder / file)] for name, file in FILES.items()})
    return found


def row(category: str, preset: str) -> list[str]:
    """A preset's line of the table."""
    found = cell(category, preset)
    at_rate = 1 - pooled_merit(found.test, found.good, ESCAPES, RATE)
    point = judged(found.test, found.threshold)
    return [
        preset,
        f"{1000 * at_rate:.0f}",
        f"{found.metrics['metrics']['image_auroc']:.3f}",
        per_thousand(point, "escape_rate"),
        per_thousand(point, "false_alarm_rate"),
        f"{found.milliseconds:.0f}",
    ]


def report(categories: Sequence[str]) -> str:
    """The whole report."""
    header = (
        "preset",
        "slip through at 5 %, of 1,000",
        "AUROC",
        "escapes per 1,000 at its threshold",
        "false alarms per 1,000",
        "ms",
    )
    parts = []
    for category in categories:
        lines = sorted(
            (row(category, preset) for preset in PRESETS),
            key=lambda line: (int(line[1]), float(line[5])),
        )
        parts.append(f"## {category}\n\n{table(lines, header)}\n")
    return f"""# What the presets find

Made by `make bench-presets` (tests/bench/presets.py): presets of config.yaml on EfficientNet-Lite0,
on MVTec AD's bottle, on cookies, and on the demo's polycrystalline solar cells. *Slip through at
5 %*: of the defective test images, where good test images and held-out training images set the
threshold together, as `make best` compares set-ups; in brackets, 95 % intervals. Milliseconds from
file to score, beside other work on the same machine.

{"".join(f"{part}{chr(10)}" for part in parts)}"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mvtec")
    parser.add_argument("cookie")
    given = parser.parse_args()
    entries = datasets(given.mvtec, given.cookie)
    with tempfile.TemporaryDirectory() as temporary:
        run(entries, Path(temporary))
    text = report(list(entries)).rstrip() + "\n"
    write_text(ROOT / "reports" / "presets.md", text)
    print(text)
