"""Print what of requirements.txt this Python lacks or has in another version."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

for line in Path(__file__).with_name("requirements.txt").read_text(encoding="utf-8").splitlines():
    name, _, wanted = line.partition("==")
    try:
        if wanted and version(name) != wanted:
            print(line)
    except PackageNotFoundError:
        print(line)
