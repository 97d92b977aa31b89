"""Where the facts from elsewhere lie that the workflow brings along."""

from pathlib import Path

FACTS = Path(__file__).parents[2] / "facts"
