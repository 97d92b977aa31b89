"""Templates hold what a report says; Python gives them figures, tables and pictures."""

import re
from pathlib import Path
from typing import Any

import jinja2

from defectbench.reports import markdown

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **given: Any) -> str:
    """The text of a template, HTML or Markdown by its name.

    Parameters
    ----------
    template
        File in the folder of templates.
    **given
        What the template names; beside these it has the functions of `markdown` as ``fmt``.

    Raises
    ------
    jinja2.UndefinedError
        If the template names something that is not given.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=template.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals["fmt"] = markdown
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    text = environment.get_template(template).render(given)
    if template.endswith(".md"):
        # a paragraph that is left out leaves the empty lines around it
        text = re.sub(r"\n{3,}", "\n\n", text.strip()) + "\n"
    return text
