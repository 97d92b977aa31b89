"""What is settled before a run: is Snakemake the tested one, and which settings are read?"""

import importlib.metadata
import json
import os
from pathlib import Path
from typing import Any

import yaml

from defectbench.errors import InputError

ROOT = Path(__file__).parents[3]
REQUIREMENTS = ROOT / "envs" / "requirements.txt"
SEE = "see docs/configuration.md"
COMPLETE = frozenset({"datasets", "preprocessings", "methods"})


def check_snakemake(requirements: Path = REQUIREMENTS) -> None:
    """Refuse another minor version of Snakemake than the one that the requirements pin.

    The terminal (`terminal`), the receipts (`planning`), the timers at the exit (`timers`) and the
    settings of a module (``rules/setup.smk``) reach into private parts of Snakemake, which may
    change with any minor version. A patch release is taken as it comes.

    Raises
    ------
    InputError
        Naming both versions and what to do.
    """
    lines = requirements.read_text(encoding="utf-8").splitlines()
    (tested,) = (line.split("==")[1] for line in lines if line.startswith("snakemake=="))
    installed = importlib.metadata.version("snakemake")
    if installed.split(".")[:2] != tested.split(".")[:2]:
        raise InputError(
            f"Snakemake {installed} is installed, and this workflow is tested with {tested}: "
            f"pip install snakemake=={tested} (to try another version, change that line of "
            f"{requirements} and run `make test`)"
        )


def read_settings(file: str | Path) -> dict[str, Any]:
    """Settings of a YAML file.

    Raises
    ------
    InputError
        If it cannot be read, is no UTF-8 text, no YAML, no mapping or empty, has a key twice or is
        nested without end.
    """
    try:
        found = yaml.load(Path(file).read_text(encoding="utf-8-sig"), _EachKeyOnce)
        json.dumps(found, skipkeys=True, default=str)  # what holds itself cannot be written
    except FileNotFoundError:
        raise InputError(
            f"{file}: no such file; CONFIG names your settings, merged over config.yaml"
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"{file}: is no UTF-8 text; save it with that encoding") from None
    except (RecursionError, OverflowError):
        raise InputError(f"{file}: is nested too deeply, or holds a number of no size") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        raise InputError(f"{file}: cannot be read as settings ({why}); mend it") from error
    if not (found and isinstance(found, dict)):
        raise InputError(f"{file}: holds no settings, which are lines `key: value`; {SEE}")
    return found


class _EachKeyOnce(yaml.SafeLoader):
    """Refuses a key that is there already: its first value would be lost in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1 and key != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands there twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def settings_files() -> list[str]:
    """Files of settings that a run reads unasked, the later merged over the earlier.

    They are the project's config.yaml and one in the folder of the run. The latter stands alone if
    it has all that a config needs: whoever edits a copy does not want back what is deleted in it.

    Raises
    ------
    InputError
        As `read_settings` does, of the latter.
    """
    project, own = ROOT / "config.yaml", Path("config.yaml")
    if not own.is_file() or own.samefile(project):
        return [os.path.relpath(project)]
    is_complete = read_settings(own).keys() >= COMPLETE
    return [str(own)] if is_complete else [os.path.relpath(project), str(own)]
