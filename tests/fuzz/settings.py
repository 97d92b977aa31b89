"""Generated settings and names of files: `make check` takes them or refuses them in one line."""

import argparse
import contextlib
import copy
import datetime
import io
import os
import random
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))

import check_datasets
from defectbench.config.crossings import check_crossings
from defectbench.config.layers import check_layers
from defectbench.errors import InputError, in_one_line
from defectbench.startup import read_settings

ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 10**30, 0.5, -0.5, 1e-300, float("nan"), float("inf")),
    *(
        "",
        " ",
        "all",
        "01",
        "1e3",
        "no",
        "\x1b[31m",
        "\r",
        "\0",
        "{wild}",
        "<a>",
        "a/b",
        "../..",
        "/",
    ),
    *(
        "~",
        "*",
        "[",
        "**",
        "ok [1]",
        "=cmd",
        "ü",
        "\ud800",
        "a" * 300,
        "(",
        "(?P<",
        "tile\\d+",
        "{",
    ),
    *("{stem}", "{stem.x}", "fre_lite0", "efficientnet_lite0", "lanczos256", "blocks.4"),
    *([], [1], [None], ["a", "a"], [[]], {}, {"a": 1}, {1: 2}, {None: None}, {"csv": "none.csv"}),
    *(datetime.date(2024, 5, 1), b"bytes", {"path": "x"}, {"x"}),
]
LETTERS = [
    "a",
    "B",
    "0",
    " ",
    ".",
    "-",
    "_",
    "=",
    "+",
    "@",
    "'",
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    "*",
]
LETTERS += [
    "?",
    "#",
    "%",
    "$",
    "&",
    ";",
    "|",
    "<",
    ">",
    "~",
    "!",
    "\t",
    "\n",
    "\r",
    "\x1b",
    "\x7f",
    "ü",
]
LETTERS += ["e\u0301", "\u202e", "\u2028", "\xa0", "𝒳", "\udcfc", "\udcff", "__", "a" * 60, "good"]
SUFFIXES = [".png", ".PNG", ".bmp", ".txt", "", ".jpg"]


def main() -> int:
    """Try them all; exit status 1 if anything ended in a traceback."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000, help="of settings; a tenth of names")
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.chdir(folder)
        write_images(folder / "images")
        write_category(folder / "parts" / "plate", folder / "images")
        for _ in range(options.rounds):
            found[f"settings {judged(checked, odd_settings(draw, folder))}"] += 1
            found[f"text {judged(checked_text, odd_text(draw, folder), folder)}"] += 1
        for _ in range(options.rounds // 10):
            shutil.rmtree(folder / "odd", ignore_errors=True)
            write_odd_names(draw, folder / "odd", folder / "images")
            entries = [{"path": "odd"}, {"path": "odd", "good": draw.choice(["*", "**", "[ab]*"])}]
            for entry in entries:
                dataset = {"source": "folder", "methods": ["fre_lite0"], **entry}
                found[f"names {judged(checked, {'datasets': {'odd': dataset}})}"] += 1
    for what, count in sorted(found.items()):
        print(f"{count:6} {what}")
    return int(any("WRONG" in what for what in found))


def judged(check: Callable[..., str], *arguments: Any) -> str:
    """What a check says, or where it ended in another error than one for the user."""
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            outcome = check(*arguments)
        said.getvalue().encode(errors="backslashreplace")
    except Exception as error:
        if in_one_line(error):  # as a command says it
            return "refused"
        return f"WRONG of {arguments!r}: {traceback.format_exc()}"
    return outcome


def checked(settings: dict[str, Any]) -> str:
    """What `make check` says of settings, the count of jobs apart."""
    problems: list[str] = []
    with check_datasets.collecting(problems):
        config = check_datasets.merged(copy.deepcopy(settings))
        check_crossings(config)
        check_layers(config, Path("layers"))
        for dataset in check_datasets.plan.default_datasets(config):
            with check_datasets.collecting(problems):
                check_datasets.check_dataset(config, dataset, problems)
    return "refused" if problems else "taken"


def checked_text(text: bytes, folder: Path) -> str:
    file = folder / "my.yaml"
    file.write_bytes(text)
    try:
        return checked(read_settings(file))
    except InputError:
        return "refused"


def plain_settings(folder: Path) -> dict[str, Any]:
    """Settings with one of most keys."""
    return {
        "datasets": {
            "parts": {
                "source": "folder",
                "path": str(folder / "parts"),
                "methods": ["fre_lite0"],
                "groups": "(\\d)",
                "new": str(folder / "images"),
                "studies": True,
            },
            "own": {"source": "folder", "path": str(folder / "images"), "good": "."},
        },
        "methods": {
            "m": {
                "scorer": "pca_fre",
                "layers": ["blocks.2", "blocks.4"],
                "preprocessing": "p",
                "backbones": ["efficientnet_lite0"],
            }
        },
        "preprocessings": {"p": {"size": 256, "interpolation": "lanczos", "aspect": "keep"}},
        "threshold": {"false_positive_rate": 0.05, "folds": 3, "rule": "average"},
        "studies": {"robustness": {"brightness": [-10]}, "training_size": {"images": [5]}},
        "search": {"budget": "10min"},
        "limits": {"escapes": 0.1},
        "costs": {"escape": 10, "false_alarm": 1},
        "defective_share": 0.1,
        "categories": "all",
        "seed": 42,
        "seeds": [1, 2],
    }


def odd_settings(draw: random.Random, folder: Path) -> dict[str, Any]:
    """Settings of which one to three values or keys are odd."""
    settings = plain_settings(folder)
    for _ in range(draw.randint(1, 3)):
        places = list(_places(settings))
        holder, key = draw.choice(places)
        change = draw.randrange(4)
        if change == 0 and isinstance(holder, dict):
            holder[draw.choice(["x", "", 3, None, "{a}", "a" * 30, *map(str, ODD[13:20])])] = (
                holder.get(key)
            )
        elif change == 1 and isinstance(holder, dict):
            del holder[key]
        else:
            holder[key] = copy.deepcopy(draw.choice(ODD))
    return settings


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every dict or list within a value, with each of its keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def odd_text(draw: random.Random, folder: Path) -> bytes:
    """A file of settings with some bytes changed, added or taken away."""
    content = bytearray(yaml.safe_dump(plain_settings(folder)).encode())
    for _ in range(draw.randint(1, 2)):
        place = draw.randrange(len(content))
        if draw.random() < 0.5:
            content[place : place + draw.randint(0, 3)] = draw.randbytes(draw.randint(0, 3))
        else:
            piece = draw.choice(
                [b"\t", b": ", b"- ", b"{", b"&a ", b"*a", b"!!python/name:os ", b"\0"]
            )
            content[place:place] = piece
    return bytes(content)


def write_images(folder: Path) -> None:
    """Twelve small photographs."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for number in range(12):
        pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def write_category(category: Path, images: Path) -> None:
    """A category in the MVTec layout."""
    for place, numbers in (("train/good", range(8)), ("test/good", (8, 9)), ("test/a", (10, 11))):
        (category / place).mkdir(parents=True)
        for number in numbers:
            shutil.copy(images / f"{number}.png", category / place)


def odd_name(draw: random.Random) -> str:
    if draw.random() < 0.9:
        return str(draw.randrange(10**6))
    return "".join(draw.choices(LETTERS, k=draw.randint(1, 4)))[:80].strip("/.") or "x"


def write_odd_names(draw: random.Random, folder: Path, images: Path) -> None:
    """A folder of categories, images and masks with odd names."""
    for _ in range(draw.randint(1, 2)):
        category = folder / draw.choice(["plate", "ring", odd_name(draw)])
        for place in ("train/good", "test/good", f"test/{odd_name(draw)}", "ground_truth/a"):
            for number in range(draw.randint(4, 9)):
                name = odd_name(draw) + draw.choice(SUFFIXES)
                with contextlib.suppress(OSError, ValueError):
                    (category / place).mkdir(parents=True, exist_ok=True)
                    shutil.copy(images / f"{number}.png", category / place / name)


if __name__ == "__main__":
    sys.exit(main())
