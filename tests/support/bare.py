"""A Python in which nothing can be imported but what an exported detector needs."""

import sys
from pathlib import Path

WITHOUT = ["torch", "h5py", "pandas", "snakemake", "sklearn", "scipy", "onnx", "imagecodecs"]
WITHOUT += ["jinja2", "jsonschema", "matplotlib", "yaml"]
BARE = f"""
import runpy, sys
from pathlib import Path
sys.modules |= dict.fromkeys({WITHOUT!r})
sys.argv = sys.argv[1:]
sys.path.insert(0, str(Path(sys.argv[0]).parent))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def bare_python(script: Path, *arguments: str | Path) -> list[str]:
    """Command that runs a script in it."""
    return [sys.executable, "-c", BARE, str(script), *map(str, arguments)]
