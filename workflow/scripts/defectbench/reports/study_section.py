"""The section of a dataset's page that shows its studies."""

from collections.abc import Mapping, Sequence
from typing import Any

from defectbench.reports.studies import (
    INTERVALS,
    NOTES,
    PLOTTED,
    QUESTIONS,
    by_category,
    look_of,
    plot_name,
)
from defectbench.reports.study_answers import ANSWERS
from defectbench.reports.study_figures import study_drawing
from defectbench.reports.study_tables import images_line, missing_points, study_tables

BUDGET = 1_000_000
"""Characters of all plots of a page's studies; the others are linked to."""


def study_section(
    dataset: str, studies: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    """What the template `studies.html` shows.

    Parameters
    ----------
    dataset
        Its name.
    studies
        From `studies.read_studies`.

    Returns
    -------
    dict
        ``names`` of the detectors, ``intervals``: what they are, ``studies``: of each ``title``,
        ``question``, ``answers``, ``note``, and ``categories``: of each ``name``, ``images``,
        ``tables``, ``missing``, ``drawing`` (None where there is no plot, or no room for it) and
        ``plot`` (relative address of its file, empty for none).
    """
    look = look_of(studies)
    section, left = [], BUDGET
    for study, results in studies.items():
        categories = []
        for name, own in by_category(results).items():
            drawing = None
            if study in PLOTTED and left > 0:
                drawing = study_drawing(study, own, look, f"{study}{len(categories)}")
                left -= len(drawing)
            plot = f"{dataset}_studies/{plot_name(study, name)}" if study in PLOTTED else ""
            categories.append(
                {
                    "name": name,
                    "images": images_line(own[0]),
                    "drawing": drawing,
                    "plot": plot,
                    "tables": study_tables(own),
                    "missing": missing_points(own),
                }
            )
        section.append(
            {
                "title": study.replace("_", " "),
                "question": QUESTIONS[study],
                "answers": ANSWERS[study](results, look.names),
                "note": NOTES[study],
                "categories": categories,
            }
        )
    return {"names": look.names, "intervals": INTERVALS, "studies": section}
