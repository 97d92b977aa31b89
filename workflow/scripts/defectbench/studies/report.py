"""The report of the studies and the section of a page: answers in words, plots, tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from defectbench.reports.decision_text import short_names
from defectbench.reports.figures import Look
from defectbench.reports.markdown import grid, scope_line
from defectbench.reports.rendering import render
from defectbench.studies.answers import ANSWERS
from defectbench.studies.figures import PLOTTED, study_drawing, study_svg
from defectbench.studies.results import Result, by_category
from defectbench.studies.tables import images_line, missing_points, study_tables

BUDGET = 1_000_000
"""Characters of all plots of a page's studies; the others are linked to."""

Studies = Mapping[str, Sequence[Result]]


def plots(studies: Studies) -> dict[str, str]:
    """SVG by file name: one per study and category."""
    look = _look(studies)
    return {
        name: study_svg(study, own, look)
        for study, results in studies.items()
        for category, own in by_category(results).items()
        if (name := _plot_name(study, category))
    }


def studies_report(dataset: str, categories: Sequence[str], studies: Studies) -> str:
    """The report as Markdown; its plots lie in the folder ``{dataset}_studies`` beside it.

    Parameters
    ----------
    dataset, categories
        Its name and all its categories.
    studies
        Results by study.
    """
    look = _look(studies)
    studied = {result["category"] for results in studies.values() for result in results}
    return render(
        "studies.md",
        dataset=dataset,
        scope=scope_line([name for name in categories if name in studied], categories),
        seed=next(iter(studies.values()))[0]["seed"],
        studies=_sections(studies, look.names),
        grid=lambda table: grid(table.points, {look.names[d]: t for d, t in table.texts.items()}),
    )


def study_section(studies: Studies) -> dict[str, Any]:
    """What the template `studies.html` shows.

    Parameters
    ----------
    studies
        Results by study.

    Returns
    -------
    dict
        ``names`` of the detectors, and ``studies``: what `_sections` gives of each; its categories
        have a ``drawing`` too, None where there is no plot, or no room for it.
    """
    look = _look(studies)
    sections, left = _sections(studies, look.names), BUDGET
    for section in sections:
        study = section["study"]
        for place, category in enumerate(section["categories"]):
            category["drawing"] = None
            if category["plot"] and left > 0:
                drawing = study_drawing(study, category["results"], look, f"{study}{place}")
                category["drawing"] = drawing
                left -= len(drawing)
    return {"names": look.names, "studies": sections}


def _sections(studies: Studies, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """What report and page both say of each study.

    Returns
    -------
    list of dict
        ``study``, ``title``, ``answers``, and ``categories``: of each ``name``, ``results``,
        ``images``, ``tables``, ``missing`` and ``plot`` (its file's name, empty for none).
    """
    return [
        {
            "study": study,
            "title": study.replace("_", " "),
            "answers": [
                line for own in by_category(results).values() for line in ANSWERS[study](own, names)
            ],
            "categories": [
                {
                    "name": category,
                    "results": own,
                    "images": images_line(own[0]),
                    "plot": _plot_name(study, category),
                    "tables": study_tables(own),
                    "missing": missing_points(own),
                }
                for category, own in by_category(results).items()
            ],
        }
        for study, results in studies.items()
    ]


def _plot_name(study: str, category: str) -> str:
    """File of a plot, in the folder of the dataset's plots; empty for a study without plots."""
    return f"{study}_{category}.svg" if study in PLOTTED else ""


def _look(studies: Studies) -> Look:
    """Names, colours and markers of the detectors, the same in all studies."""
    detectors = [result["detector"] for results in studies.values() for result in results]
    return Look(short_names(list(dict.fromkeys(detectors))))
