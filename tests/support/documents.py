"""What README and docs/ tell their readers to type, and the settings that they show."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHELL = ("bash", "console", "sh")
TYPED_INLINE = re.compile(r"`((?:snakemake|make) [^`…]+)`")


class Block(NamedTuple):
    """A block of code: its language, ``""`` for an indented one, and its lines."""

    language: str
    lines: list[str]


def blocks(text: str) -> list[Block]:
    """Fenced and indented blocks of a page."""
    found: list[Block] = []
    fenced = indented = False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced, indented = not fenced, False
            if fenced:
                found.append(Block(line[3:].strip(), []))
        elif fenced:
            found[-1].lines.append(line)
        elif line.startswith("    "):
            if not indented:
                found.append(Block("", []))
            found[-1].lines.append(line[4:])
            indented = True
        elif line:
            indented = False
    return found


def commands(text: str) -> list[str]:
    """Every command of a page, its words joined as a shell reads them.

    What is indented is a command: output and settings stand in fences that name their language.
    Commands within a sentence are those in backticks that begin with snakemake or make.
    """
    typed = [
        line.removeprefix("$ ")
        for block in blocks(text)
        if block.language in ("", *SHELL)
        for line in block.lines
    ]
    words = [shlex.split(line, comments=True) for line in typed + TYPED_INLINE.findall(text)]
    return list(dict.fromkeys(shlex.join(command) for command in words if command))


def settings(text: str) -> list[str]:
    """The YAML blocks of a page."""
    return ["\n".join(block.lines) for block in blocks(text) if block.language == "yaml"]
